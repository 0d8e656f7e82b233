"""Search, batch, verify and explain."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from featmatch.errors import ImageError
from featmatch.features.forms import FORMS, Forms
from featmatch.images.decoding import DecodingOptions
from featmatch.names import with_quoted
from featmatch.proof.pair import verify_apart
from featmatch.proof.proof import PROVEN, Proof
from featmatch.search.explaining import explain
from featmatch.search.many import SearchOptions
from featmatch.search.matches import Match, Matches
from featmatch.search.query import load_query_apart
from featmatch.search.region import QueryRegion
from featmatch.service.calls import Call, Endpoint, Parameter, json_answer
from featmatch.service.mounted import Mounted
from featmatch.service.parameters import Parameters, parsed_object
from featmatch.service.pictures_given import (
    UNNAMED,
    GivenPicture,
    content_of,
    fields_of,
    given_pair,
    given_picture,
    referred,
)
from featmatch.service.problems import Problem, problem_of
from featmatch.service.queries import Query

MOST_BATCH = 16
_MOST_MATCHES = 100
_STAGES = {"words": "words", "votes": "votes", "verification": "geometry", "pixels": "pixels", "forms": "forms"}


@dataclass(frozen=True)
class Wanted:
    """What a search is asked for."""

    limit: int
    all: bool
    match: str | None
    min_probability: float | None  # None: what is proven, which begins at ``PROVEN``
    region: QueryRegion | None
    region_given: list[Any] | None
    explain: bool
    forms: Forms

    @classmethod
    def of(cls, options: Parameters) -> Wanted:
        """From the options of a request.

        Raises:
            Problem: one of them cannot be meant, or is not known.
        """
        region = options.listed("region")
        wanted = cls(
            options.whole("limit", 10, 1, _MOST_MATCHES), options.flag("all"), options.text("match"),
            options.number("min_probability", None, 0.0, 1.0), QueryRegion.of(region), region, options.flag("explain"),
            options.choice("forms", "few", FORMS),
        )  # fmt: skip
        options.end()
        return wanted

    def search_options(self, decoding: DecodingOptions) -> SearchOptions:
        """As the library takes them."""
        return SearchOptions(self.limit, self.all, self.match, decoding=decoding, region=self.region, forms=self.forms)

    def of_those(self, matches: Iterable[Match]) -> list[Match]:
        """Those of the matches of a search, unproven ones too, that are told."""
        least = self.min_probability
        wanted = (
            match for match in matches
            if (self.all or (match.proven if least is None else match.verdict != "rejected"))
            and (least is None or match.probability >= least)
        )  # fmt: skip
        return list(itertools.islice(wanted, self.limit))


@dataclass(frozen=True)
class Found:
    """What a search found, as the threads hand it to the event loop."""

    answer: dict[str, Any]
    proofs: Mapping[int, Proof]


def search_once(mounted: Mounted, given: GivenPicture, wanted: Wanted) -> Found:
    """Look a picture up. Runs in a thread."""
    mounted.index.refresh()
    options = wanted.search_options(mounted.options.decoding)
    search = options.search_in(mounted.index)
    (snapshot,) = search.snapshots
    query, decoding_ms = load_query_apart(given.source, search.options, wanted.region, options.decoding)
    matches = search.answer(given.source, query, limit=sys.maxsize, unproven=True)
    kept, related = wanted.of_those(matches), matches.related[: wanted.limit]
    told = Matches(status=matches.status, damaged=matches.damaged).to_dict()
    names = snapshot.catalog.names_of([match.id for match in [*kept, *related]])
    for name, found in (("matches", kept), ("related", related)):
        told[name] = [
            {**_match_object(match, wanted.explain), "names": names[match.id], "links": mounted.links_of(match.id)}
            for match in found
        ]
    return Found(
        {
            "query": given.name,
            **told,
            "width": query.grey.width,
            "height": query.grey.height,
            "features": len(query.features),
            "region": wanted.region_given,
            "times_ms": _times(matches, decoding_ms),
            "index": {
                "images": snapshot.catalog.totals().names,
                "generation": mounted.generation(snapshot),
            },
        },
        {match.id: match.proof for match in [*kept, *related]},
    )


def _match_object(match: Match, evidence: bool) -> dict[str, Any]:
    told = match.to_dict()
    return {**told, "evidence": match.proof.evidence.to_dict()} if evidence else told


def _times(matches: Matches, decoding_ms: float) -> dict[str, float]:
    times = {"decode": decoding_ms}
    if "features" in matches.times:
        times["extract"] = max(matches.times["features"] - decoding_ms, 0.0)
    times |= {_STAGES[name]: value for name, value in matches.times.items() if name in _STAGES}
    return {name: round(value, 1) for name, value in times.items()}


async def search(call: Call) -> Response:
    """POST /v1/search."""
    given, options = await given_picture(call)
    wanted = Wanted.of(options)
    found = await call.search(lambda: search_once(call.mounted, given, wanted))
    answer = _kept(call, given, found)
    timing = ", ".join(f"{name};dur={value}" for name, value in answer["times_ms"].items())
    return json_answer(answer, headers={"Server-Timing": timing})


def _kept(call: Call, given: GivenPicture, found: Found) -> dict[str, Any]:
    """The answer, once its query is kept; counted."""
    mounted, answer = call.mounted, found.answer
    answer["query_id"] = number = mounted.queries.keep(Query(given.source, given.name, found.proofs))
    for match in [*answer["matches"], *answer["related"]]:
        match["links"]["proof"] = f"{mounted.base}/v1/queries/{number}/matches/{match['id']}/proof"
    for match in answer["matches"]:
        call.metrics.claims.labels(match["relation"]["kind"]).inc()
    call.metrics.searched(answer["times_ms"])
    call.request.scope["featmatch.stages"] = answer["times_ms"]
    return answer


async def batch(call: Call) -> Response:
    """POST /v1/search/batch."""
    if call.content_type == "multipart/form-data":
        form = await call.form()
        files = [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
        if any(name != "image" for name, _ in files):
            raise Problem("unknown_field", "the files of a batch are called image")
        wanted = Wanted.of(fields_of(form))
        queries: list[GivenPicture | Parameters] = [
            GivenPicture(await content_of(call, file), file.filename or UNNAMED) for _, file in files
        ]
    elif call.content_type == "application/json":
        options = Parameters(parsed_object(await call.body()))
        listed = options.listed("queries") or []
        if not all(isinstance(one, dict) for one in listed):
            raise Problem("bad_request", "each of queries is an image")
        queries = [Parameters(one) for one in listed]
        wanted = Wanted.of(options)
    else:
        raise Problem("unsupported_content_type", "multipart/form-data or JSON is taken")
    if not 1 <= len(queries) <= MOST_BATCH:
        raise Problem("bad_request", f"a batch has 1 to {MOST_BATCH} images, not {len(queries)}")
    return StreamingResponse(_lines(call, queries, wanted), media_type="application/x-ndjson")


async def _lines(call: Call, queries: list[GivenPicture | Parameters], wanted: Wanted) -> AsyncIterator[bytes]:
    """A line for each picture. What cannot be read, or is refused, has its status and no matches."""
    for one in queries:
        name = UNNAMED
        try:
            if isinstance(one, Parameters):
                given = await referred(call, one)
                one.end()
            else:
                given = one
            name = given.name
            found = await call.search(_bound_search(call.mounted, given, wanted), watched=False)
            answer = _kept(call, given, found)
        except ImageError as error:
            answer = {"query": name, **Matches(status=error.status).to_dict(), "detail": error.message}
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            answer = {"query": name, **Matches(status="not_found").to_dict(), "status": problem.code}
            answer["detail"] = problem.detail
        yield json.dumps(with_quoted(answer)).encode("ascii") + b"\n"


def _bound_search(mounted: Mounted, given: GivenPicture, wanted: Wanted) -> Any:
    return lambda: search_once(mounted, given, wanted)


async def verify_pair(call: Call) -> Response:
    """POST /v1/verify."""
    one, other, options = await given_pair(call)
    forms: Forms = options.choice("forms", "all", FORMS)
    options.end()
    decoding = call.mounted.options.decoding

    def compare() -> dict[str, Any]:
        found = verify_apart(one.source, other.source, decoding, forms).to_dict()
        return {**found, "name": found["name"] and other.name}

    return json_answer(await call.search(compare))


async def explain_pair(call: Call) -> Response:
    """POST /v1/explain. An id or a name beside the picture is that of the image in the index."""
    given, options = await given_picture(call, ("url", "base64", "query"))
    number, name = options.whole("id", None, 1, 1 << 62), options.text("name")
    options.end()
    if (number is None) == (name is None):
        raise Problem("bad_request", "either the id or the name of the image in the index is wanted")
    mounted = call.mounted

    def told() -> dict[str, Any]:
        mounted.snapshot()
        meant = name if name is not None else mounted.image(number or 0).record.name
        decoding = mounted.options.decoding
        query, _ = load_query_apart(given.source, mounted.index.options, None, decoding)
        found = explain(mounted.index, given.source, meant, SearchOptions(decoding=decoding), loaded=query)
        return {"query": given.name, **found.to_dict(), "options": [_of_api(option) for option in found.options]}

    return json_answer(await call.search(told))


_OF_COMMANDS = {"featmatch query --all": "all=true", "featmatch reject --clear": "PUT /v1/verdicts verdict=null"}
_ADDING = "POST /v1/images"


def _of_api(option: str) -> str:
    """An option of the command line as one of this interface; those of Python stay: nothing here has them."""
    return _ADDING if option == "featmatch add" else _OF_COMMANDS.get(option, option)


_OPTIONS = (
    Parameter("limit", {"type": "integer", "minimum": 1, "maximum": _MOST_MATCHES, "default": 10}, "matches at most"),
    Parameter("all", {"type": "boolean", "default": False}, "unproven candidates, too"),
    Parameter("match", {"type": "string"}, "only images with these words"),
    Parameter("min_probability", {"type": "number", "minimum": 0, "maximum": 1, "default": PROVEN}, "from this on"),
    Parameter("region", {"type": "string"}, "x,y,width,height or [[x, y], ...], px: only this part is looked up"),
    Parameter(
        "forms", {"type": "string", "enum": list(FORMS), "default": "few"}, "other forms tried if nothing is proven"
    ),
    Parameter("explain", {"type": "boolean", "default": False}, "each match with its evidence"),
)
_TARGET = (
    Parameter("id", {"type": "integer", "minimum": 1}, "of the image in the index"),
    Parameter("name", {"type": "string"}, "of the image in the index"),
)
_READING = (
    "bad_request", "unsupported_content_type", "body_too_large", "decode_failed", "too_large", "timeout", "fetch_off",
    "fetch_refused", "fetch_failed", "no_such_image", "file_gone", "file_changed", "no_such_query", "query_expired",
    "busy", "key_busy",
)  # fmt: skip
ENDPOINTS = (
    Endpoint(
        "POST", "/v1/search", search, "Find what a picture is a copy of", body="image", parameters=_OPTIONS,
        answers={200: "The matches, best first"}, codes=_READING, takes="Search", gives="Found"),
    Endpoint(
        "POST", "/v1/search/batch", batch, "The same for several pictures, a line each", body="batch",
        answers={200: "A JSON object a line"}, codes=_READING, takes="Batch"),
    Endpoint(
        "POST", "/v1/verify", verify_pair, "Is one of two pictures a copy of the other", body="batch",
        answers={200: "The proof"}, codes=_READING, takes="Pair", gives="Verified"),
    Endpoint(
        "POST", "/v1/explain", explain_pair, "Why a picture does or does not match one image", body="image",
        parameters=_TARGET, answers={200: "What each stage says"}, codes=_READING, takes="Explain", gives="Explained"),
)  # fmt: skip
