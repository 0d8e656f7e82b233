"""The modules of the page as one text each, and what they promise: no text in the code, and few bytes."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from featmatch.names import _UNFIT
from featmatch.service.page import parts
from featmatch.web import bundling

PAGE = Path(str(resources.files("featmatch.web"))) / "page"
MODULES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(PAGE.glob("*.js"))}
WORDS = {language: json.loads(bundling.words(language)) for language in bundling.LANGUAGES}

# Keys are plain strings; where a part of one is data, "t(`job.${kind}`)".
_KEYS = re.compile(r'"([a-z_]+(?:\.[a-z_ ]+)*)"')
_BUILT = re.compile(r"`((?:[a-z_]+\.)+(?:[a-z_]+)?)\$\{[^}]*\}([a-z_.]*)`")
_PLURAL = re.compile(r"\.(one|other)$")


def plain(key: str) -> str:
    return _PLURAL.sub("", key)


def code_of(text: str) -> str:
    """Without comments."""
    return bundling._COMMENT.sub("", text)


@pytest.mark.parametrize("entry", ["app", "report"])
def test_a_bundle_has_each_module_once_and_after_what_it_needs(entry: str) -> None:
    text = bundling.script(entry)
    made = re.findall(r"^const \$(\w+)=\(\(\)=>\{$", text, re.MULTILINE)
    assert len(made) == len(set(made)) > 20
    for use in re.finditer(r"^const\{[^}]*\}=\$(\w+);$", text, re.MULTILINE):
        assert text.index(f"const ${use[1]}=(") < use.start()
    assert not re.search(r"^(import|export) ", text, re.MULTILINE)
    assert "/**" not in text
    assert "</script" not in text


def test_bundles_are_javascript(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node")
    for entry in ("app", "report"):
        file = tmp_path / f"{entry}.mjs"
        file.write_text(bundling.script(entry), encoding="utf-8")
        subprocess.run([node, "--check", file], check=True)


def test_modules_keep_to_what_can_be_put_together() -> None:
    for name, text in MODULES.items():
        imports = re.findall(
            r"^import\b.*(?:\n(?!import|const|let|/|export|class|function)[^\n]*)*", text, re.MULTILINE
        )
        assert len(imports) == len(bundling._IMPORT.findall(text)), name
        assert len(re.findall(r"^export\b", text, re.MULTILINE)) == len(bundling._EXPORT.findall(text)), name
        assert " as " not in " ".join(found[0] for found in bundling._IMPORT.findall(text)), name
        assert not re.search(r"export let (?!speech)", text), (
            f"{name}: a value that changes is seen by its own module only"
        )
        assert len(text.splitlines()) <= 400, name


def test_circles_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"a.js": 'import { b } from "./b.js";\n', "b.js": 'import { a } from "./a.js";\n'}
    monkeypatch.setattr(bundling, "text_of", texts.__getitem__)
    with pytest.raises(ValueError, match="in a circle: a b a"):
        bundling.script.__wrapped__("a")


def test_embedded_styles_need_no_file() -> None:
    assert 'url("search.svg")' in bundling.style(embedded=False)
    assert set(re.findall(r'url\("(.{14})', bundling.style(embedded=True))) == {"data:image/svg"}


def test_both_languages_say_the_same_things() -> None:
    english, japanese = WORDS["en"], WORDS["ja"]
    assert set(map(plain, english)) == set(map(plain, japanese))
    for key, text in english.items():
        places = set(re.findall(r"\{(\w+)\}", text))
        told = japanese.get(key) or japanese[f"{plain(key)}.other"]  # Japanese has one plural
        assert places == set(re.findall(r"\{(\w+)\}", told)), key
        assert text.strip(), key
        assert (key.endswith(".one")) <= (f"{plain(key)}.other" in english), key


def test_each_key_has_words_and_each_words_a_key() -> None:
    used: set[str] = set()
    for text in MODULES.values():
        code = code_of(text)
        used |= set(_KEYS.findall(code))
        for head, tail in _BUILT.findall(code):
            fitting = {key for key in map(plain, WORDS["en"]) if key.startswith(head) and key.endswith(tail)}
            assert fitting, head
            used |= fitting
        asked = set(re.findall(r'\bt\("([^"]+)"', code)) | set(re.findall(r'words: "([^"]+)"', code))
        assert asked <= set(map(plain, WORDS["en"])), asked - set(map(plain, WORDS["en"]))
    assert set(map(plain, WORDS["en"])) <= used | {f"{key}_short" for key in used}


def test_code_has_no_text_of_its_own() -> None:
    for name, text in MODULES.items():
        for found in re.finditer(r'"([^"\n]*)"', code_of(text)):
            assert not re.match(r"[A-Z][a-z]+ [a-z]", found[1]), f"{name}: {found[1]}"
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            name
        )
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    assert " style=" not in page
    assert " on" not in re.sub(r"<noscript>.*</noscript>", "", page, flags=re.DOTALL).replace("content", "")


def test_refusals_have_words() -> None:
    from featmatch.service.problems import CODES

    for_programs = {
        "no_such_route", "no_such_job", "method_not_allowed", "groups_not_made", "precondition_failed", "unknown_field",
        "starting", "stopping",
    }  # fmt: skip
    assert {f"error.{code}" for code in set(CODES) - for_programs} <= set(WORDS["en"])


def test_reasons_why_a_file_stays_have_words() -> None:
    """Each that the engine gives; those that are words of its own code are found there."""
    folder = Path(str(resources.files("featmatch.grouping")))
    texts = {name: (folder / f"{name}.py").read_text(encoding="utf-8") for name in ("choosing", "sameness", "marking")}
    said = {found for text in texts.values() for found in re.findall(r'return "([a-z][^"]+ [^"]+)"', text)}
    said |= set(re.findall(r'return "([a-z][^"]+)" if', "".join(texts.values())))
    assert {f"stays.{reason}" for reason in said} <= set(WORDS["en"])
    assert len(said) >= 10


def test_names_are_quoted_as_the_command_line_does() -> None:
    (ranges,) = re.findall(r'UNFIT = new RegExp\("(.*?)", "u"\);', MODULES["names"].replace('" +\n  "', ""))
    unfit = re.compile(
        re.sub(r"\\u\{([0-9a-f]+)\}", lambda found: f"\\U{int(found[1], 16):08x}", ranges.replace("\\\\", "\\"))
    )
    for code in (*range(0x10000), *range(0xE0000, 0xE0100)):
        assert bool(unfit.match(chr(code))) == bool(_UNFIT.match(chr(code))), hex(code)


def test_the_page_is_small() -> None:
    told = {name: len(gzip.compress(part.content, 9, mtime=0)) for name, part in parts().items()}
    visit = sum(told.values()) - min(told[f"{language}.json"] for language in bundling.LANGUAGES)  # one is asked for
    assert visit <= 60_000, told
