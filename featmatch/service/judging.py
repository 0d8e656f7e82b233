"""Groups of copies, and the verdicts of people on pairs of images."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import anyio.to_thread
from starlette.responses import Response

from featmatch.grouping.groups import Group
from featmatch.search.verdicts import judge_each
from featmatch.service.calls import Call, Endpoint, Parameter, json_answer
from featmatch.service.made_groups import GroupFilter, MadeGroups, totals
from featmatch.service.mounted import Mounted
from featmatch.service.parameters import Parameters, parsed_object
from featmatch.service.problems import Problem
from featmatch.store.browsing import count_images
from featmatch.store.snapshot import Snapshot
from featmatch.store.writing import become_writer

_KINDS = ("copy", "crop", "contains", "overlap", "whole picture")
_VERDICTS = {"accepted": True, "rejected": False, None: None}
_MOST_VERDICTS = 10_000

Verdict = tuple[str, str, bool | None]


async def groups(call: Call) -> Response:
    """GET /v1/groups."""
    options = call.query
    wanted = GroupFilter(
        options.choice("kind", None, _KINDS), options.number("min_probability", 0.0, 0.0, 1.0),
        options.whole("min_files", 0, 0, 1 << 31), options.text("prefix") or "",
    )  # fmt: skip
    after, limit = options.whole("after", 0, 0, 1 << 31), options.whole("limit", 20, 1, 1000)
    options.end()
    mounted = call.mounted
    made, snapshot = _made(mounted), await anyio.to_thread.run_sync(mounted.snapshot)
    tag = _tag_of(mounted, made, snapshot)
    if call.has(tag):
        return Response(status_code=304, headers={"ETag": tag})

    def listed() -> dict[str, Any]:
        catalog = snapshot.catalog
        behind = max(catalog.totals().names - made.names, count_images(catalog, after=made.newest))
        standing = made.standing(catalog.verdicts())
        fitting = [(number, group) for number, group in standing if wanted.fits(group)]
        page = [(number, group) for number, group in fitting if number > after][:limit]
        more = bool(page) and page[-1][0] < fitting[-1][0]
        return {
            "groups": _told(mounted, page),
            "next": page[-1][0] if more else None,
            "total": len(fitting),
            "totals": totals([group for _, group in standing]),
            "made": made.made,
            "behind": behind,
        }

    return json_answer(await anyio.to_thread.run_sync(listed), headers={"ETag": tag})


def _tag_of(mounted: Mounted, made: MadeGroups, snapshot: Snapshot) -> str:
    return f'"{made.generation}.{mounted.generation(snapshot)}"'


def _told(mounted: Mounted, page: Sequence[tuple[int, Group]]) -> list[dict[str, Any]]:
    """Groups by number, with what the index knows of their files, and why those that are not marked stay."""
    images = [member.id for _, group in page for member in group.members]
    records = {record.id: record for record in mounted.index.snapshot.catalog.records_of(images)}
    told = []
    for number, group in page:
        one = {"group": number, **_with_links(mounted, group.to_dict()), "spared": dict(group.spared)}
        for member in one["members"]:
            record = records.get(member["id"])
            member |= {name: getattr(record, name, None) for name in ("format", "taken", "camera")}
        told.append(one)
    return told


def _with_links(mounted: Mounted, group: dict[str, Any]) -> dict[str, Any]:
    original = group["members"][0]["id"]
    for member in group["members"]:
        links = mounted.links_of(member["id"])
        if member["id"] != original:
            links["proof"] = f"{mounted.base}/v1/images/{member['id']}/with/{original}/proof"
        member["links"] = links
    return group


def _made(mounted: Mounted) -> MadeGroups:
    if mounted.groups is None:
        raise Problem("groups_not_made", 'POST /v1/jobs {"kind": "groups"} makes them', job={"kind": "groups"})
    return mounted.groups


async def judge_group(call: Call) -> Response:
    """PUT /v1/groups/{n}/verdict: none of the group is a copy of its original."""
    mounted, made = call.mounted, _made(call.mounted)
    text = call.request.path_params["n"]
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    options = Parameters(parsed_object(await call.body() or b"{}"))
    verdict = options.choice("verdict", "rejected", ("rejected",))
    options.end()
    call.check_unchanged(_tag_of(mounted, made, await anyio.to_thread.run_sync(mounted.snapshot)))
    if not 1 <= number <= len(made.groups):
        raise Problem("no_such_group")
    group = made.groups[number - 1]
    pairs: list[Verdict] = [(member.names[0], group.original.names[0], False) for member in group.members[1:]]
    if not pairs:
        raise Problem("invalid_value", "the files of this group are the same to the byte")
    await _judged(mounted, pairs)
    return json_answer({"verdict": verdict, "pairs": len(pairs)})


async def judge(call: Call) -> Response:
    """PUT /v1/verdicts."""
    mounted = call.mounted
    mounted.must_write()
    told = parsed_object(await call.body())
    if "verdicts" in told:
        options = Parameters(told)
        listed = options.listed("verdicts") or []
        options.end()
    else:
        listed = [told]
    if not 1 <= len(listed) <= _MOST_VERDICTS:
        raise Problem("invalid_value", f"1 to {_MOST_VERDICTS} verdicts are given at a time")
    verdicts = await anyio.to_thread.run_sync(lambda: [_verdict_of(mounted, one) for one in listed])
    await _judged(mounted, verdicts)
    return json_answer({"verdicts": len(verdicts)})


def _verdict_of(mounted: Mounted, told: Any) -> Verdict:
    if not isinstance(told, dict) or "verdict" not in told:
        raise Problem("bad_request", "a verdict has a, b and verdict")
    if told["verdict"] is not None and told["verdict"] not in ("accepted", "rejected"):
        raise Problem("invalid_value", "verdict is accepted, rejected or null")
    members = Parameters(told)
    is_copy = _VERDICTS[members.take("verdict")]
    a, b = (_name_of(mounted, members.take(side)) for side in ("a", "b"))
    members.end()
    return a, b, is_copy


def _name_of(mounted: Mounted, told: Any) -> str:
    """A name of the image that is meant."""
    if not isinstance(told, dict):
        raise Problem("bad_request", 'each of a and b is {"id": ...} or {"name": ...}')
    members = Parameters(told)
    number, name = members.whole("id", None, 1, 1 << 62), members.text("name")
    members.end()
    if (number is None) == (name is None):
        raise Problem("bad_request", "each of a and b has either an id or a name")
    image = mounted.image_named(name) if name is not None else mounted.image(number or 0)
    return image.record.name


async def _judged(mounted: Mounted, verdicts: Sequence[Verdict]) -> None:
    writer = mounted.must_write()

    def write() -> None:
        with become_writer(mounted.index):
            judge_each(mounted.index, verdicts)

    await asyncio.wrap_future(writer.submit(write))


async def list_verdicts(call: Call) -> Response:
    """GET /v1/verdicts."""
    mounted = call.mounted

    def listed() -> list[dict[str, Any]]:
        catalog = mounted.snapshot().catalog
        told = catalog.verdicts()
        names = catalog.names_of(sorted({image for pair in told for image in pair}))
        return [
            {
                "a": {"id": a, "names": names[a]},
                "b": {"id": b, "names": names[b]},
                "verdict": "accepted" if is_copy else "rejected",
            }
            for (a, b), is_copy in told.items()
        ]

    return json_answer({"verdicts": await anyio.to_thread.run_sync(listed)})


_FILTER = (
    Parameter("kind", {"type": "string", "enum": list(_KINDS)}, "of one of the copies"),
    Parameter("min_probability", {"type": "number", "minimum": 0, "maximum": 1}, "of one of the copies"),
    Parameter("min_files", {"type": "integer", "minimum": 0}, "that the group has"),
    Parameter("prefix", {"type": "string"}, "of one of the names"),
    Parameter("after", {"type": "integer", "minimum": 0}, "what a page gave as next"),
    Parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20}),
)
ENDPOINTS = (
    Endpoint(
        "GET", "/v1/groups", groups, "Groups of copies", parameters=_FILTER, codes=("groups_not_made",),
        gives="Groups",
    ),
    Endpoint(
        "PUT", "/v1/groups/{n}/verdict", judge_group, "Reject all copies of a group", "write", "object",
        codes=("read_only", "no_such_group", "groups_not_made", "writer_busy", "precondition_failed"),
        takes="GroupVerdict"),
    Endpoint("GET", "/v1/verdicts", list_verdicts, "What was said of pairs of images"),
    Endpoint(
        "PUT", "/v1/verdicts", judge, "Say whether two images are copies", "write", "object",
        codes=("read_only", "no_such_image", "writer_busy", "bad_request"), takes="Verdicts"),
)  # fmt: skip
