"""Manifests and collections of version 2 and 3, and what others put into them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from featmatch.errors import ImageError
from featmatch.images.decoding import USUAL
from featmatch.images.iiif_manifests import (
    MOST_PICTURES,
    Contents,
    Painted,
    Reference,
    Service,
    is_manifest,
    read_manifest,
)
from tests.iiif_server import HOST, canvas, manifest, service

pytestmark = pytest.mark.usefixtures("decoded_here")

SIZE = (600, 400)


def read(told: Any, **more: Any) -> Contents:
    content = json.dumps(told).encode()
    assert is_manifest(content)
    return read_manifest(content, USUAL, **more)


def painted(name: str, label: str, version: int = 3, level: int = 2) -> Painted:
    base = f"{HOST}/image/{name}"
    address = f"{base}/full/max/0/default.jpg"
    return Painted(f"{HOST}/canvas/{name}", label, address, Service(base, version, level), SIZE)


def test_a_manifest_of_version_3() -> None:
    told = manifest(canvas("a", {"none": ["f. 1r"]}, SIZE), canvas("b", {"de": ["Blatt 2"]}, SIZE, level=0))
    assert read(told) == Contents("A book", [painted("a", "f. 1r"), painted("b", "Blatt 2", level=0)])


def test_a_manifest_of_version_2() -> None:
    def old(name: str, label: Any) -> dict[str, Any]:
        told = {
            "@context": "http://iiif.io/api/image/2/context.json", "@id": f"{HOST}/image/{name}/",
            "profile": ["http://iiif.io/api/image/2/level1.json", {"maxWidth": 900}],
        }  # fmt: skip
        picture = {
            "@id": f"{HOST}/image/{name}/full/max/0/default.jpg", "@type": "dctypes:Image", "width": 600,
            "height": 400, "service": told,
        }  # fmt: skip
        painting = {"@type": "oa:Annotation", "motivation": "sc:painting", "resource": picture}
        return {"@id": f"{HOST}/canvas/{name}", "@type": "sc:Canvas", "label": label, "images": [painting]}

    choice = old("c", [{"@value": "deux", "@language": "fr"}, "two"])
    picture = choice["images"][0]["resource"]
    choice["images"][0]["resource"] = {"@type": "oa:Choice", "default": picture, "item": [{"@id": "x"}]}
    told = {
        "@context": "http://iiif.io/api/presentation/2/context.json", "@id": f"{HOST}/m", "@type": "sc:Manifest",
        "label": "Old book",
        "sequences": [{"@type": "sc:Sequence", "canvases": [old("a", "1"), old("b", {"@value": "eins"}), choice]}],
    }  # fmt: skip
    expected = [painted(name, label, 2, 1) for name, label in (("a", "1"), ("b", "eins"), ("c", "deux; two"))]
    assert read(told) == Contents("Old book", [*expected])


def test_collections_lead_to_manifests_in_order() -> None:
    second, third = {"type": "Manifest", "id": "M2"}, {"type": "Collection", "id": "C"}
    inner = {"type": "Collection", "id": "I", "items": [second, third]}
    told = {"type": "Collection", "label": {"en": ["All"]}, "items": [{"type": "Manifest", "id": "M1"}, inner]}
    assert read(told).found == [Reference("M1"), Reference("M2"), Reference("C")]
    old = {
        "@type": "sc:Collection", "collections": [{"@id": "C", "@type": "sc:Collection"}], "manifests": ["M1"],
        "members": [{"@id": "M2", "@type": "sc:Manifest"}, {"@id": "R", "@type": "sc:Range"}], "first": "P",
    }  # fmt: skip
    assert read(old).found == [Reference("C"), Reference("M1"), Reference("M2"), Reference("P")]


def test_pages_of_annotations_may_be_elsewhere() -> None:
    told = canvas("a", {"en": ["f. 1r"]}, SIZE)
    page = told["items"][0]
    told["items"] = [{"id": f"{HOST}/page/a", "type": "AnnotationPage"}]
    of_canvas = (f"{HOST}/canvas/a", "f. 1r")
    assert read(manifest(told)).found == [Reference(f"{HOST}/page/a", of_canvas)]
    assert read(page, canvas=of_canvas).found == [painted("a", "f. 1r")]
    assert read(page).found == []  # of no canvas


def test_only_what_is_painted_is_a_picture_and_parts_are_of_their_whole() -> None:
    told = canvas("a", {"en": ["f. 1r"]}, SIZE)
    annotations = told["items"][0]["items"]
    body = annotations[0]["body"]
    note = {"type": "Annotation", "motivation": "commenting", "body": {"type": "TextualBody", "value": "x"}}
    part = {"type": "Annotation", "motivation": "painting", "body": {"type": "SpecificResource", "source": body}}
    two = {"type": "Choice", "items": [body, {"id": "y"}]}
    choice = {"type": "Annotation", "motivation": ["painting"], "body": two}
    film = {"type": "Annotation", "motivation": "painting", "body": {"type": "Video", "id": "v"}}
    annotations[:] = [note, part, choice, film]
    assert read(manifest(told)).found == [painted("a", "f. 1r")] * 2


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ({"fr": ["un"], "en": ["one", "1"]}, "one; 1"), ({"ja": ["一"]}, "一"), ({}, ""), (None, ""), (7, ""),
        ([7, None], ""),
        ("<script>alert(1)</script>\n\u202e", "<script>alert(1)</script>"), ({"en": "plain"}, "plain"), ([["x"]], ""),
    ],
)  # fmt: skip
def test_labels_are_one_line_of_text(label: Any, said: str) -> None:
    assert read(manifest(label=label if label is not None else [])).label == said


@pytest.mark.parametrize(
    "content",
    [b"{", b"{}", b'{"type": "Canvas"}', b'{"type": ["Manifest"', b'{"a":' * 100_000, b'{"x": ' + b"9" * 10_000 + b"}"],
)
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(ImageError, match="neither a picture nor a IIIF manifest"):
        read_manifest(content, USUAL)


@pytest.mark.parametrize("key", ["items", "sequences", "label", "@id"])
@pytest.mark.parametrize(
    "value", [None, 3, "x", [], {}, [[]], [None, 3, [{}]], {"type": "Canvas"}, [{"type": "Canvas", "items": 3}]]
)
def test_odd_values_are_passed_over(key: str, value: Any) -> None:
    assert read({"type": "Manifest", key: value}).found == []


def test_what_nests_without_end_ends() -> None:
    told: dict[str, Any] = {"type": "Collection", "items": []}
    for _ in range(300):
        told = {"type": "Collection", "items": [told, {"type": "Manifest", "id": "M"}]}
    assert len(read(told).found) == 21
    body: dict[str, Any] = {"id": "x", "type": "Image"}
    for _ in range(300):
        body = {"type": "Choice", "items": [body]}
    one = canvas("a", None, SIZE)
    one["items"][0]["items"][0]["body"] = body
    assert read(manifest(one)).found == []


def test_of_very_many_the_first_are_read() -> None:
    told = read({"type": "Collection", "items": [{"id": "M", "type": "Manifest"}] * (MOST_PICTURES + 1)})
    assert (len(told.found), told.has_more) == (MOST_PICTURES, True)


def test_services_are_told_by_what_they_say() -> None:
    one = canvas("a", None, SIZE)
    body = one["items"][0]["items"][0]["body"]
    base = f"{HOST}/image/a"
    for told, expected in [
        ([service("a", version=2), service("a", level=1)], Service(base, 3, 1)),
        ({"@id": base, "@context": "http://library.stanford.edu/iiif/image-api/1.1/context.json"}, Service(base, 1, 1)),
        ({"@id": base, "profile": "http://iiif.io/api/image/2/level0.json"}, Service(base, 2, 0)),
        ({"@id": base, "profile": "http://iiif.io/api/auth/1/login"}, None),
        ("http://x", None), (None, None), ([3], None),
    ]:  # fmt: skip
        body["service"] = told
        (found,) = read(manifest(one)).found
        assert isinstance(found, Painted)
        assert found.service == expected
    body["width"] = "600"
    (found,) = read(manifest(one)).found
    assert isinstance(found, Painted)
    assert found.size is None
