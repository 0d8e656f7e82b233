"""What the documentation site needs beyond Sphinx's own: an extension that ``docs/conf.py`` names.

- ``{commands}`` is replaced by what ``--help`` says of each command;
- ``{http-interface}`` by the description that the service gives of itself (OpenAPI).
- `` `docs/words.md` `` in a text, which reads well where files are shown as they are, becomes a link to that page.
- Pages below ``ja/`` say that they are in Japanese.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

from featmatch.cli import cli
from featmatch.index import Index
from featmatch.service.app import Service
from featmatch.service.openapi import description
from featmatch.service.options import ServeOptions
from tools.docs_lines import code_lines, command_lines, http_lines

_PAGE = re.compile(r"docs/([\w/-]+)\.md")


class Commands(SphinxDirective):
    """``{commands}``."""

    def run(self) -> list[nodes.Node]:
        """Describe every command."""
        return _parsed(self, "## Options", "", *command_lines(cli, click.Context(cli, info_name="featmatch")))


class HttpInterface(SphinxDirective):
    """``{http-interface}``."""

    def run(self) -> list[nodes.Node]:
        """Describe every address, then every code."""
        with tempfile.TemporaryDirectory(prefix="featmatch-") as folder:
            index = Index.open(Path(folder, "empty.fm"), create=True)
            document = description(Service({"": index}, ServeOptions()).endpoints())
        return _parsed(self, "## Addresses", "", *http_lines(document), "## Codes of refusals", "", *code_lines())


def _parsed(directive: SphinxDirective, *lines: str) -> list[nodes.Node]:
    parsed: list[nodes.Node] = directive.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)
    return parsed


class PageLinks(SphinxTransform):
    """Files of ``docs/`` that a text names become links."""

    default_priority = 5  # before references are resolved

    def apply(self, **kwargs: Any) -> None:
        """Change the document."""
        del kwargs
        for literal in list(self.document.findall(nodes.literal)):
            named = _PAGE.fullmatch(literal.astext())
            if named and named[1] in self.env.found_docs and not isinstance(literal.parent, nodes.reference):
                link = pending_xref(
                    "", refdomain="std", reftype="doc", reftarget=f"/{named[1]}", refexplicit=False, refwarn=True
                )
                link += nodes.inline("", named[1])
                literal.replace_self(link)


def _say_language(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    del app, template, doctree
    if page.startswith("ja/"):
        context["language"] = "ja"


def _set_dashes(app: Sphinx, document: nodes.document) -> None:
    """Sphinx sets two hyphens between a parameter and its meaning; ``smartquotes`` would change options, too."""
    del app
    for text in list(document.findall(nodes.Text)):
        if text.astext() == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def setup(app: Sphinx) -> dict[str, Any]:
    """Add these to Sphinx."""
    app.add_directive("commands", Commands)
    app.add_directive("http-interface", HttpInterface)
    app.add_transform(PageLinks)
    app.connect("doctree-read", _set_dashes)
    app.connect("html-page-context", _say_language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
