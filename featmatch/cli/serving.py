"""The commands that serve an index over HTTP."""

from __future__ import annotations

import os
import re
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from featmatch.cli.common import FOUND, PathArgument, also_option, root_option, tell
from featmatch.cli.printing import say
from featmatch.errors import MissingFeatureError

if TYPE_CHECKING:
    from featmatch.service.options import ServeOptions

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_BYTES = re.compile(r"(\d+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.IGNORECASE)
_TAKEN = ("v1", "healthz", "metrics", "docs", "openapi.json", "page", "errors", "index", "rest")


def _size(context: click.Context, parameter: click.Parameter, value: str) -> int:
    """A number of bytes, as 32MiB."""
    found = _BYTES.fullmatch(value.strip())
    if found is None or int(found[1]) == 0:
        raise click.BadParameter(f"{value} is no size; 32MiB is one", context, parameter)
    return int(found[1]) * _UNITS[found[2].lower()]


def _named_indexes(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    """Indexes by name, of NAME=INDEX."""
    indexes = {}
    alone = context.get_parameter_source("named") is ParameterSource.ENVIRONMENT  # a path without a name will do
    for value in values:
        name, equals, path = value.partition("=")
        if not equals or not path or name in _TAKEN or not (_NAME.fullmatch(name) or (alone and not name)):
            wanted = f"NAME=INDEX is wanted, NAME of letters and digits, not {', '.join(_TAKEN)}"
            raise click.BadParameter(f"{value}: {wanted}", context, parameter)
        indexes[name] = Path(path)
    return indexes


def _origins(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Sites by name; all of them together (``*``) could read whatever the user may."""
    for value in values:
        if not _ORIGIN.fullmatch(value):
            raise click.BadParameter(f"{value} is no origin; https://a.example is one", context, parameter)
    return values


def _doors(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Names of servers whose addresses are answered, too."""
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not set(names) <= {"pastec", "matchengine"}:
        raise click.BadParameter(f"{value}: pastec and matchengine are known", context, parameter)
    return names


def _read_config(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Take the file's values as defaults: the command line and the environment go before them."""
    if value is None:
        return
    _require_extra()
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        told = tomllib.loads(Path(value).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"cannot read {value}: {error}", context, parameter) from error
    options = {flag.lstrip("-"): one.name for one in context.command.params for flag in one.opts}
    named = {name.replace("_", "-"): inner for name, inner in told.items()}
    unknown = sorted(set(named) - set(options))
    if unknown:
        raise click.BadParameter(f"{value} has unknown options: {', '.join(unknown)}", context, parameter)
    context.default_map = {**(context.default_map or {}), **{options[name]: inner for name, inner in named.items()}}


_folder = PathArgument(path_type=Path, file_okay=False)


class _NamedIndex(click.types.StringParamType):
    """NAME=INDEX. The environment may have several, or one path without a name, as for the other commands."""

    def split_envvar_value(self, text: str) -> list[str]:
        return text.split() if "=" in text else [f"={text}"]


@click.command(context_settings={"auto_envvar_prefix": "FEATMATCH"})
@click.argument("index", required=False, type=PathArgument(path_type=Path))
@also_option
@click.option(
    "--index",
    "named",
    type=_NamedIndex(),
    envvar="FEATMATCH_INDEX",
    multiple=True,
    metavar="NAME=INDEX",
    callback=_named_indexes,
    help="A further index, served below /NAME/.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8520, show_default=True, help="0: any that is free.")
@click.option("--open", "open_browser", is_flag=True, envvar="FEATMATCH_OPEN", help="Show its page in a browser.")
@click.option(
    "--keys",
    type=PathArgument(path_type=Path),
    metavar="FILE",
    help="API keys, as `serve-key` makes them. Without, only this machine may ask.",
)
@click.option("--writable/--read-only", default=False, help="Whether images and verdicts may be changed.")
@click.option("--uploads", type=_folder, metavar="DIR", help="Keep uploaded files here; needed to add images.")
@click.option("--files", is_flag=True, help="Give out the original files, too.")
@click.option(
    "--allow-path",
    "allow_paths",
    envvar="FEATMATCH_ALLOW_PATH",
    multiple=True,
    type=_folder,
    metavar="DIR",
    help="Folder whose files may be added and shown.",
)
@click.option(
    "--fetch",
    default="off",
    show_default=True,
    metavar="off|public|HOST,HOST...",
    help="Hosts that pictures may be fetched from.",
)
@click.option("--fetch-private", is_flag=True, help="The named hosts may have private addresses.")
@click.option("--max-upload", default="32MiB", show_default=True, metavar="SIZE", callback=_size, help="Of one image.")
@click.option("--searches", type=click.IntRange(min=1), metavar="N", help="At the same time.  [default: cores]")
@click.option("--queue", type=click.IntRange(min=0), metavar="N", help="Searches that wait.  [default: 4 x searches]")
@click.option(
    "--search-timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", default=30.0, show_default=True,
    help="How long a search may take.",
)  # fmt: skip
@click.option(
    "--allowed-host",
    "allowed_hosts",
    envvar="FEATMATCH_ALLOWED_HOST",
    multiple=True,
    metavar="NAME",
    help="A name that the server goes by.",
)
@click.option(
    "--cors",
    multiple=True,
    metavar="ORIGIN",
    callback=_origins,
    help="A site whose pages may ask, as https://a.example.",
)
@root_option
@click.option("--metrics-port", type=click.IntRange(0, 65535), metavar="N", help="Serve /metrics there, without keys.")
@click.option("--log", type=click.Choice(["json", "text"]), default="json", show_default=True, help="Form of the log.")
@click.option(
    "--compat",
    default="",
    metavar="pastec,matchengine",
    callback=_doors,
    help="Answer the addresses of these servers, too, for their users.",
)
@click.option("--prefix", default="", metavar="/PATH", help="What all paths begin with.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=_read_config,
    help="TOML file of these options.",
)
def serve(index: Path | None, also: Sequence[Path], named: dict[str, Path], open_browser: bool, **options: Any) -> int:
    """Answer over HTTP: a page for people, /v1 for programs.

    --open shows the page at once. With --writable and --uploads people can add pictures on it, and look for groups.
    Several indexes are served as one with --also, or where INDEX is a text file that lists some; --writable then lets
    groups be looked for, and nothing of the indexes be changed.
    Each option can be set in the environment, too: --max-upload as FEATMATCH_MAX_UPLOAD.
    Ends on SIGTERM or Ctrl-C, after the searches under way; SIGHUP reads the keys again.
    """
    if also and index is None:
        raise click.UsageError("--also INDEX2 is served as one with an INDEX")
    indexes = named | ({} if index is None else {"": index})
    if not indexes:
        raise click.UsageError("an INDEX is wanted, or --index NAME=INDEX")
    _require_extra()
    from featmatch.service.app import open_service
    from featmatch.service.running import check_startable, listen
    from featmatch.service.running import serve as run

    wanted = _options_of(options)
    check_startable(wanted)
    stream = listen(wanted)
    host = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
    address = f"http://{host}:{stream.getsockname()[1]}{wanted.prefix}"

    def ready() -> None:
        tell(f"serving {', '.join(map(str, [*indexes.values(), *also]))} at {address}")
        if open_browser:
            webbrowser.open(address)

    run(lambda: open_service(indexes, wanted, also), stream, wanted, ready=ready)
    return FOUND


def _require_extra() -> None:
    try:
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingFeatureError("serving needs more packages: pip install 'featmatch[serve]'") from error


def _options_of(given: dict[str, Any]) -> ServeOptions:
    from featmatch.service.options import ServeOptions

    values = dict(given)
    fetch = [host.strip().lower() for host in values.pop("fetch").split(",") if host.strip()]
    prefix = values.pop("prefix").strip("/")
    root, searches = values.pop("root"), values.pop("searches")
    return ServeOptions(
        fetch=() if fetch == ["off"] else tuple(fetch),
        prefix=f"/{prefix}" if prefix else "",
        root=None if root is None else Path(root),
        searches=searches or os.cpu_count() or 1,
        **values,
    )


@click.group("serve-key")
def serve_key() -> None:
    """Make API keys for `serve`."""


@serve_key.command()
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["read", "write", "admin"]),
    required=True,
    help="read: search; write: change images and verdicts, too; admin: jobs, too.",
)
@click.option(
    "--keys",
    type=PathArgument(path_type=Path),
    required=True,
    envvar="FEATMATCH_KEYS",
    metavar="FILE",
    help="Where its digest is kept.",
)
def new(name: str, scope: Any, keys: Path) -> int:
    """Print a new key, which is shown this once, and keep its digest in FILE."""
    from featmatch.service.keys import new_key

    say(new_key(keys, name, scope))
    return FOUND
