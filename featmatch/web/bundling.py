"""Modules and styles of the page as one text each: a browser asks once, and a page on disk can hold them.

The modules are plain ES modules, as ``tsc`` and editors take them. They keep to what can be put together by reading
their first lines: they import names from files beside them, export declarations, and no two import one another.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources

LANGUAGES = ("en", "ja")
STYLES = ("base", "views", "compare", "groups")
PICTURES = ("icon", "search", "groups", "images", "jobs", "nothing", "key")

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|let|function\*?|class) (\w+))", re.MULTILINE)
_COMMENT = re.compile(r"^\s*/\*(?:(?!\*/).)*\*/\n|^\s*//[^\n]*\n|/\*\*(?:(?!\*/).)*\*/ ?", re.MULTILINE | re.DOTALL)
_INDENT = re.compile(r"^[ \t\n]+", re.MULTILINE)
_GAP = re.compile(r" *([{};,]|: |>) *")
_STRING = re.compile(r"(\"(?:[^\"\\]|\\.)*\")")
_CODE_GAP = re.compile(r" *(=>|[!=]==|&&|\|\||[=?:,;{}()]) *")
_PICTURE = re.compile(r'url\("(\w+)\.svg"\)')


def text_of(name: str) -> str:
    """One of the page's own files."""
    return (resources.files("featmatch.web") / "page" / name).read_text(encoding="utf-8")


@cache
def script(entry: str) -> str:
    """A module with all that it imports, each in a scope of its own, without comments and indentation.

    Args:
        entry: its name, without ``.js``.
    """
    names = list(dict.fromkeys(_in_order(entry, ())))
    return "".join(_module(name) for name in names[:-1]) + _body(names[-1])


@cache
def style(*, embedded: bool) -> str:
    """All styles.

    Args:
        embedded: with pictures within them, for a page that has no other files.
    """
    text = _GAP.sub(lambda found: found[1].strip(), _slim("".join(text_of(f"{name}.css") for name in STYLES)))
    return _PICTURE.sub(lambda found: f'url("{_data(found[1])}")', text) if embedded else text


@cache
def words(language: str) -> str:
    """The messages in a language, as JSON."""
    return json.dumps(json.loads(text_of(f"{language}.json")), ensure_ascii=False, separators=(",", ":"))


def _in_order(name: str, within: tuple[str, ...]) -> Iterator[str]:
    """The module after all that it imports."""
    if name in within:
        raise ValueError(f"modules of the page import in a circle: {' '.join((*within, name))}")
    for _, imported in _IMPORT.findall(text_of(f"{name}.js")):
        yield from _in_order(imported, (*within, name))
    yield name


def _module(name: str) -> str:
    exported = ",".join(_EXPORT.findall(text_of(f"{name}.js")))
    return f"const ${name}=(()=>{{\n{_body(name)}return{{{exported}}};\n}})();\n"


def _body(name: str) -> str:
    text = _slim(text_of(f"{name}.js"))
    text = _IMPORT.sub(lambda found: f"const{{{found[1].strip().strip(',')}}}=${found[2]};\n", text)
    return "\n".join(map(_tight, _EXPORT.sub("", text).split("\n")))


def _tight(line: str) -> str:
    """A line without spaces that no browser needs, where that is plain to see: it has no template and no pattern."""
    if re.search(r"[`'/]", line):
        return line
    return "".join(part if at % 2 else _CODE_GAP.sub(r"\1", part) for at, part in enumerate(_STRING.split(line)))


def _slim(text: str) -> str:
    return _INDENT.sub("", _COMMENT.sub("", text))


def _data(name: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(text_of(f"{name}.svg").encode()).decode()
