from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from featmatch.images.metadata import Metadata, _moment, read_metadata

PICTURE = Image.effect_noise((64, 48), 50).convert("RGB")

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:DateCreated="2017-06-05" tiff:Make="Pentax">
<tiff:Model>K-1</tiff:Model>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">Der Hafen, früh</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>""".encode()


def exif(**values: str) -> Image.Exif:
    made = Image.Exif()
    for name, value in values.items():
        if name.startswith("DateTime"):
            made.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base[name]] = value
        else:
            made[ExifTags.Base[name]] = value
    return made


def iptc(*records: tuple[int, int, bytes]) -> bytes:
    """The segment of a JPEG file that Photoshop writes."""
    data = b"".join(bytes([0x1C, a, b]) + len(value).to_bytes(2, "big") + value for a, b, value in records)
    block = b"8BIM\x04\x04\0\0" + len(data).to_bytes(4, "big") + data + b"\0" * (len(data) % 2)
    body = b"Photoshop 3.0\0" + block
    return b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body


def with_segment(path: Path, segment: bytes) -> str:
    content = path.read_bytes()
    path.write_bytes(content[:2] + segment + content[2:])
    return str(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_of_each_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    tags = exif(
        Make="Canon\0", Model="Canon EOS 5D", ImageDescription="The harbour", DateTimeOriginal="2019:05:03 10:20:30"
    )
    PICTURE.save(path, exif=tags.tobytes())
    name = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
    assert read_metadata(str(path)) == Metadata(name, "2019-05-03T10:20:30", "Canon EOS 5D", "The harbour")


def test_heif(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    tags = exif(Make="Apple", Model="iPhone 12", DateTimeOriginal="2021:01:02 03:04:05")
    pillow_heif.from_pillow(PICTURE).save(tmp_path / "a.heic", exif=tags.tobytes())
    assert read_metadata(str(tmp_path / "a.heic")) == Metadata("HEIF", "2021-01-02T03:04:05", "Apple iPhone 12", None)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_xmp_is_read_and_its_caption_goes_before_that_of_exif(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    options: dict[str, Any] = {"tiffinfo": {700: XMP}} if suffix == "tif" else {"xmp": XMP}
    if suffix == "png":
        from PIL import PngImagePlugin

        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options = {"pnginfo": text}
    if suffix in ("jpg", "webp"):
        options["exif"] = exif(ImageDescription="OLYMPUS DIGITAL CAMERA").tobytes()
    PICTURE.save(path, **options)
    found = read_metadata(str(path))
    assert (found.taken, found.camera, found.caption) == ("2017-06-05", "Pentax K-1", "Der Hafen, früh")


@pytest.mark.parametrize(
    ("charset", "caption"),
    [(b"\x1b%G", "café".encode()), (b"", "café".encode()), (b"", "café".encode("latin-1"))],
)
def test_iptc_in_either_encoding(tmp_path: Path, charset: bytes, caption: bytes) -> None:
    PICTURE.save(tmp_path / "a.jpg")
    records = [(1, 90, charset)] if charset else []
    segment = iptc(*records, (2, 55, b"20180102"), (2, 60, b"030405+0100"), (2, 120, caption), (2, 25, b"word"))
    found = read_metadata(with_segment(tmp_path / "a.jpg", segment))
    assert (found.taken, found.caption) == ("2018-01-02T03:04:05", "café")


def test_texts_are_one_clean_line(tmp_path: Path) -> None:
    tags = exif(ImageDescription="  two\nlines \x07 and Größe\0padding", Make="NIKON CORPORATION", Model="NIKON D750  ")
    tags[ExifTags.Base.ImageDescription] = "  two\nlines \x07 and Größe".encode() + b"\0padding"
    PICTURE.save(tmp_path / "a.jpg", exif=tags)
    found = read_metadata(str(tmp_path / "a.jpg"))
    assert (found.caption, found.camera) == ("two lines and Größe", "NIKON D750")
    PICTURE.save(tmp_path / "a.jpg", exif=exif(ImageDescription="long " * 9000))
    assert len(read_metadata(str(tmp_path / "a.jpg")).caption or "") == 2000


@pytest.mark.parametrize("moment", ["0000:00:00 00:00:00", "    :  :     :  :  ", "soon", "2019:13:01 00:00:00", ""])
def test_a_date_that_is_none_is_left_out(tmp_path: Path, moment: str) -> None:
    PICTURE.save(tmp_path / "a.jpg", exif=exif(DateTimeOriginal=moment))
    assert read_metadata(str(tmp_path / "a.jpg")).taken is None


def test_a_file_without_metadata_has_its_format(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "really.gif", "BMP")
    assert read_metadata(str(tmp_path / "really.gif")) == Metadata("BMP")
    pytest.importorskip("pypdfium2")
    PICTURE.save(tmp_path / "a.pdf")
    assert read_metadata(str(tmp_path / "a.pdf") + "#page=1") == Metadata("PDF")


def test_raw_files_are_not_decoded_for_it(tmp_path: Path) -> None:
    tiff = exif(Make="Leica", Model="M11", DateTimeOriginal="2022:02:03 04:05:06")
    tiff[50706] = b"\1\4\0\0"  # it calls itself a DNG
    (tmp_path / "a.dng").write_bytes(tiff.tobytes()[6:])
    assert read_metadata(str(tmp_path / "a.dng")) == Metadata("RAW", "2022-02-03T04:05:06", "Leica M11", None)


def test_what_is_no_image_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    assert read_metadata(str(tmp_path / "a.jpg")) == Metadata()
    assert read_metadata(str(tmp_path / "none.jpg")) == Metadata()


def test_damaged_metadata_never_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    PICTURE.save(path, exif=exif(Make="Canon", DateTimeOriginal="2019:05:03 10:20:30"), xmp=XMP)
    content = bytearray(Path(with_segment(path, iptc((2, 120, b"caption")))).read_bytes())
    end = content.index(b"\xff\xdb")
    chance = random.Random(1)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(2, end)] = chance.randrange(256)
        path.write_bytes(damaged)
        assert isinstance(read_metadata(str(path)), Metadata)
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + XMP.replace(b"K-1", b"&b;")
    PICTURE.save(path, xmp=bomb)
    assert read_metadata(str(path)) == Metadata("JPEG")


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2019:01:01 00:00:00", "2019-01-01T00:00:00"), ("2019:12:31 23:59", "2019-12-31T23:59:00"),
        ("2019-05-03T10:20:30+02:00", "2019-05-03T10:20:30"), ("20190503102030", "2019-05-03T10:20:30"),
        ("1850:05:03", "1850-05-03"), (b"2019:05:03 10:20:30\0", "2019-05-03T10:20:30"), ("2019:00:10", ""),
        ("2019:10:00", ""), ("2019:10:32", ""), ("3019:10:01", ""), (2019, ""), (None, ""),
    ],
)  # fmt: skip
def test_moments(value: object, moment: str) -> None:
    assert _moment(value) == moment


def test_of_several_captions_of_iptc_the_first_counts(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.jpg")
    segment = iptc((1, 90, b"\x1b%G"), (2, 120, b"first"), (2, 120, b"second"))
    assert read_metadata(with_segment(tmp_path / "a.jpg", segment)).caption == "first"


def test_damaged_text_of_iptc_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.jpg")
    segment = iptc((1, 90, b"\x1b%G"), (2, 120, b"caf\xe9 bar"))
    assert read_metadata(with_segment(tmp_path / "a.jpg", segment)).caption == "caf\ufffd bar"
