"""Pages of the documentation site that are made from the code: commands and HTTP, as lines of Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import click

from featmatch.service.problems import CODES


def command_lines(command: click.Command, context: click.Context) -> Iterator[str]:
    """A command and all below it as Markdown.

    Args:
        command: with its options, or a group of commands.
        context: its own.
    """
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.commands[name]
            yield from command_lines(below, click.Context(below, parent=context, info_name=name))
        return
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    about = inspect.cleandoc(command.help or "").replace("\b\n", "")
    yield from (f"### {context.command_path}", "", f"    {usage}", "", _as_markdown(about), "")
    yield from ("| option | meaning |", "| --- | --- |")
    for option in command.get_params(context):
        told = option.get_help_record(context)
        if told is not None and isinstance(option, click.Option):
            forms = ", ".join(f"`{form}`" for form in told[0].replace("|", "\\|").split(", "))
            yield f"| {forms} | {_as_markdown(told[1])} |"
    yield ""


def _as_markdown(text: str) -> str:
    """Plain text of ``--help``; only its backticks mean something."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*_<>|\[\]\\])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def http_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The OpenAPI document of the service as Markdown, an operation after the other.

    Args:
        document: of ``featmatch.service.openapi.description``.
    """
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"### {method.upper()} {path}"
            scope = operation.get("x-scope")
            yield from ("", f"{operation['summary']}." + (f" Scope: `{scope}`." if scope else ""), "")
            yield from _parameters(operation["parameters"])
            taken = ", ".join(f"`{kind}`" for kind in operation.get("requestBody", {}).get("content", {}))
            yield from (f"Body: {taken}", "") if taken else ()
            refusals: list[str] = []
            for status, answer in sorted(operation["responses"].items()):
                if "application/problem+json" in answer.get("content", {}):
                    refusals += answer["description"].split(", ")
                else:
                    yield f"- {status}: {answer['description']}"
            yield from ("", "Refusals: " + ", ".join(f"`{code}`" for code in refusals), "")


def _parameters(parameters: list[Mapping[str, Any]]) -> Iterator[str]:
    if parameters:
        yield from ("| parameter | in | type | meaning |", "| --- | --- | --- | --- |")
        for one in parameters:
            about = one.get("description", "").replace("|", "\\|")
            yield f"| `{one['name']}` | {one['in']} | {_type_of(one['schema'])} | {about} |"
        yield ""


def _type_of(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type_of(one) for one in schema["anyOf"])
    bounds = [str(schema[end]) for end in ("minimum", "maximum") if end in schema]
    return str(schema.get("type", "")) + (f", {' to '.join(bounds)}" if len(bounds) == 2 else "")


def code_lines() -> Iterator[str]:
    """The codes of what is refused, as a table."""
    yield from ("| code | status | title |", "| --- | --- | --- |")
    for code, (status, title) in CODES.items():
        yield f"| `{code}` | {status} | {title} |"
