"""Settings of the documentation site; ``tools/docs`` builds it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import featmatch

sys.path.insert(0, str(Path(__file__).parents[1]))  # for ``tools``, in this process only

project = "featmatch"
version = release = featmatch.__version__
project_copyright = "featmatch's contributors, MIT licence"
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "tools.docs_site",
]
exclude_patterns = ["**/_*"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_show_tb = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
add_module_names = False
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

smartquotes = False  # options begin with two hyphens
highlight_language = "console"

html_theme = "pydata_sphinx_theme"
html_title = "featmatch"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars: dict[str, list[str]] = {"install": []}  # there is nothing beside it
html_show_sourcelink = False
html_copy_source = True
html_theme_options: dict[str, Any] = {
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
