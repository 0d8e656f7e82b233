"""The pages that are made from the code have all of it."""

from __future__ import annotations

import click

from featmatch.cli import cli
from featmatch.service.problems import CODES
from tools.docs_lines import code_lines, command_lines, http_lines


def test_every_command_and_option_is_told() -> None:
    lines = list(command_lines(cli, click.Context(cli, info_name="featmatch")))
    assert {"### featmatch add", "### featmatch serve-key new", "    featmatch add [OPTIONS] INDEX PATH..."} <= set(
        lines
    )
    told = [line for line in lines if line.startswith("| `-")]
    for command in cli.commands.values():
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert any(f"{option.opts[-1]}" in line.split(" | ")[0] for line in told), option.opts


def test_what_means_something_in_markdown_is_kept_from_it() -> None:
    @click.command(help="Of *any* <kind>, as `--a|b` says.\n\nMore.")
    @click.option("--kind", type=click.Choice(["one", "other"]), help="This | that.")
    def made(kind: str) -> None:
        del kind

    lines = list(command_lines(made, click.Context(made, info_name="made")))
    assert lines[:6] == [
        "### made",
        "",
        "    made [OPTIONS]",
        "",
        "Of \\*any\\* \\<kind\\>, as `--a|b` says.\n\nMore.",
        "",
    ]
    assert "| `--kind [one\\|other]` | This \\| that. |" in lines


def test_an_address_is_told_with_its_parameters_and_answers() -> None:
    answers = {
        "422": {"description": "too_large, timeout", "content": {"application/problem+json": {}}},
        "200": {"description": "The picture, as it is"},
    }
    size = {"name": "size", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 9}}
    kinds = {"name": "kind", "in": "query", "schema": {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}}
    operation = {
        "summary": "A picture", "x-scope": "read", "parameters": [{**size, "description": "px | all"}, kinds],
        "requestBody": {"content": {"image/png": {}}}, "responses": answers,
    }  # fmt: skip
    assert [line for line in http_lines({"paths": {"/v1/{id}": {"get": operation}}}) if line] == [
        "### GET /v1/{id}",
        "A picture. Scope: `read`.",
        "| parameter | in | type | meaning |",
        "| --- | --- | --- | --- |",
        "| `size` | query | integer, 1 to 9 | px \\| all |",
        "| `kind` | query | `a`, `b` or null |  |",
        "Body: `image/png`",
        "- 200: The picture, as it is",
        "Refusals: `too_large`, `timeout`",
    ]


def test_every_code_is_told() -> None:
    lines = list(code_lines())
    assert len(lines) == 2 + len(CODES)
    assert "| `busy` | 503 | Too many searches are waiting |" in lines
