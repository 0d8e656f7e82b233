"""The container and the unit start the service with options that it has. Neither is run here."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from pathlib import Path

import click
import pytest

import featmatch
from featmatch.cli.serving import serve

TOOLS = Path(__file__).parents[2] / "tools"


def checked(words: list[str]) -> dict[str, object]:
    """What the command makes of its words; an option that it does not have is an error."""
    assert words[1] == "serve"
    parsed = serve.make_context("serve", words[2:], resilient_parsing=False)
    assert isinstance(parsed, click.Context)
    return parsed.params


def test_the_container_serves_with_keys() -> None:
    lines = (TOOLS / "Dockerfile").read_text().splitlines()
    (entry,) = (line.removeprefix("ENTRYPOINT ") for line in lines if line.startswith("ENTRYPOINT"))
    told = checked(json.loads(entry))
    assert (told["host"], str(told["keys"])) == ("0.0.0.0", "/run/secrets/featmatch-keys")
    shown = " ".join(line.strip("# \\") for line in lines if line.startswith("#"))
    more = re.search(r"keys:ro featmatch (.*?)  ?The user", shown)
    assert more is not None
    assert checked([*json.loads(entry), *more[1].split()])["allowed_hosts"] == ("photos.example.org",)
    (user,) = (line.split()[1] for line in lines if line.startswith("USER"))
    assert user != "0"


def test_the_unit_serves_with_keys_and_without_rights() -> None:
    unit = configparser.RawConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((TOOLS / "featmatch.service").read_text().replace("\\\n", " "))
    told = checked(shlex.split(unit["Service"]["ExecStart"]))
    assert told["keys"] is not None
    assert told["uploads"] is not None
    assert (unit["Service"]["NoNewPrivileges"], unit["Service"]["DynamicUser"]) == ("yes", "yes")
    assert float(unit["Service"]["TimeoutStopSec"]) > 80  # searches get 20 s, the commit under way 60 s


@pytest.mark.parametrize("words", [["featmatch", "serve", "/index", "--no-such-option"]])
def test_an_option_that_it_does_not_have_would_be_noticed(words: list[str]) -> None:
    with pytest.raises(click.NoSuchOption):
        checked(words)


def test_the_recipe_for_conda_needs_what_the_package_needs() -> None:
    recipe = (TOOLS / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    settings = configparser.ConfigParser()
    settings.read(TOOLS.parent / "setup.cfg", encoding="utf-8")
    wanted = {
        one.replace("opencv-contrib-python-headless", "py-opencv")
        for one in settings["options"]["install_requires"].split()
    }
    told = recipe.partition("  run:\n")[2].partition("\n\n")[0]
    needed = {f"{name}{bound}" for name, bound in re.findall(r"- ([\w-]+) (>=[\d.]+)", told)}
    assert needed - wanted == {f"python{settings['options']['python_requires']}"}
    assert wanted <= needed
    assert f'version: "{featmatch.__version__}"' in recipe
