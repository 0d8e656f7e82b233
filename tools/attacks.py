"""What a stranger could do to an index before he sends it; ``tools/attack_index.py`` runs the commands on each."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np

from featmatch.store.layout import segment_folder
from featmatch.store.segment import MANIFEST
from tools.forging import (
    Attack,
    at,
    both,
    changed,
    column,
    compressed,
    crafted,
    described,
    filled,
    hard_linked,
    header,
    hot_journal,
    idf,
    kept_folders,
    linked,
    looped,
    made_by,
    manifest,
    many_members,
    member,
    offsets,
    options,
    other_column,
    pairs,
    pickled,
    pictures,
    piped,
    record,
    said,
    seal,
    sql,
    vocabulary_file,
    without,
)

_ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
_NESTED = "[" * 200_000

LINKS: dict[str, Attack] = {
    "segments is a link": linked("segments", "segments"),
    "no catalogue, and segments is a link": both(without("catalog.sqlite"), linked("segments", "segments")),
    "a segment is a link": linked("segments/000001", "segments/000007"),
    "a stale segment is a link": linked("segments/000009", "segments/000007"),
    "a half-written segment is a link": linked("segments/000003.partial", "segments/000007"),
    "a column is a link": linked("segments/000001/x.npy", "precious.txt"),
    "the catalogue is a link": linked("catalog.sqlite", "precious.txt"),
    "the catalogue is a link to nothing": linked("catalog.sqlite", "nothing"),
    "the half-written catalogue is a link": linked("catalog.sqlite.partial", "precious.txt"),
    "the vocabulary is a link": linked("vocabulary.npz", "precious.txt"),
    "the vocabulary is a link to a device": lambda index, _: linked("vocabulary.npz", "/dev/zero")(index, Path("/")),
    "a half-written vocabulary is a link": linked("vocabulary.npz.1.partial", "precious.txt"),
    "the pairs are a link": linked("pairs.log", "precious.txt"),
    "the lock is a link": linked("writer.lock", "precious.txt"),
    "the pairs are a hard link": hard_linked("pairs.log"),
    "the lock is a hard link": hard_linked("writer.lock"),
    "a column is a pipe": piped("segments/000001/x.npy"),
    "a manifest is a pipe": piped(f"segments/000001/{MANIFEST}"),
    "the catalogue is a pipe": piped("catalog.sqlite"),
    "the vocabulary is a pipe": piped("vocabulary.npz"),
    "the pairs are a pipe": piped("pairs.log"),
    "the lock is a pipe": piped("writer.lock"),
    "a journal that names the victim": hot_journal,
    "a folder where the next catalogue goes": lambda index, _: (index / "catalog.sqlite.partial" / "a").mkdir(
        parents=True
    ),
    "things of somebody else": kept_folders,
}

VOCABULARIES: dict[str, Attack] = {
    "cell_offsets too short": offsets([0, 64]),
    "cell_offsets negative": offsets([0, -5, 20, 30, 64]),
    "cell_offsets descending": offsets([0, 60, 20, 30, 64]),
    "cell_offsets beyond the words": offsets([0, 10, 20, 30, 1 << 40]),
    "cell_offsets short of the words": offsets([0, 10, 20, 30, 40]),
    "cell_offsets of another type": offsets([0, 10, 20, 30, 64], np.int32),
    "cell_offsets are fractions": offsets([0, 10, 20, 30, 64], np.float64),
    "idf too short": idf(lambda values: values[:3]),
    "idf no number": idf(lambda values: values * np.float32(np.nan)),
    "idf negative": idf(lambda values: -values),
    "idf endless": idf(lambda values: values + np.float32(np.inf)),
    "probes 0": crafted(probes=0),
    "probes no number": crafted(probes="all"),
    "probes too many": crafted(probes=1 << 40),
    "no words": crafted(words=np.empty((0, 128), np.uint8)),
    "words too wide": crafted(words=np.zeros((64, 130), np.uint8)),
    "words of another type": crafted(words=np.zeros((64, 128), np.int16)),
    "words in one row": crafted(words=np.zeros(64 * 128, np.uint8)),
    "no cells": crafted(cells=np.empty((0, 128), np.uint8)),
    "projection of nothing": crafted(projection=np.zeros((64, 128), np.int8)),
    "projection too short": crafted(projection=np.ones((8, 128), np.int8)),
    "projection not closed": crafted(projection=np.arange(8192).reshape(64, 128).astype(np.int8)),
    "search unknown": crafted(search="magic"),
    "trees that crash": crafted(flann_tree=np.frombuffer(b"kmeans\n" + b"\xff" * 5000, np.uint8), search="flann"),
    "detector elsewhere": crafted(detector="../sift"),
    "detector a list": crafted(detector=["sift"]),
    "provenance a list": crafted(provenance=[]),
    "an array of 20 GiB": member("words.npy", header("(167772160, 128)") + bytes(200_000)),
    "an array of a negative size": member("words.npy", header("(-1, 128)")),
    "an array in nested brackets": member("words.npy", header("(" * 3000 + "1" + ")" * 3000)),
    "a compressed array": compressed("words.npy", header("(4194304, 128)"), 1 << 29),
    "an array more": member("more.npy", header("(0,)"), also=True),
    "an array twice": member("idf.npy", header("(0,)", "'<f4'"), also=True),
    "a pickled array": lambda index, victim: member("idf.npy", pickled(victim))(index, victim),
    "an archive of 200,000 members": lambda index, _: vocabulary_file(index, many_members(200_000)),
    "a description in nested brackets": member("meta.npy", header(f"({len(_NESTED)},)") + _NESTED.encode()),
    "no archive": lambda index, _: vocabulary_file(index, b"\x80\x04]\x94."),
}


CATALOGUES: dict[str, Attack] = {
    "names is an endless view": made_by(
        "names",
        "view",
        f"CREATE VIEW names AS {_ENDLESS} SELECT i AS id, 'a' AS name, 1 AS image, 0 AS mtime_ns, '' AS text FROM n",
    ),
    "the description is an endless view": made_by(
        "meta", "view", f"CREATE VIEW meta AS {_ENDLESS} SELECT i AS key, '1' AS value FROM n"
    ),
    "a trigger": sql("CREATE TRIGGER t AFTER INSERT ON meta BEGIN DELETE FROM images; END"),
    "a trigger without end": sql(
        f"CREATE TRIGGER t AFTER UPDATE ON names BEGIN INSERT INTO meta {_ENDLESS} SELECT i, i FROM n; END"
    ),
    "a table more": sql("CREATE TABLE more (x)"),
    "a view more": sql("CREATE VIEW more AS SELECT 1"),
    "an index on an expression": sql("CREATE INDEX more ON names (hex(name))"),
    "a table of another form": made_by("tombstones", "table", "CREATE TABLE tombstones (image, segment, features)"),
    "a table that calls": made_by(
        "tombstones", "table", "CREATE TABLE tombstones (image, segment, features DEFAULT (load_extension('x')))"
    ),
    "tables in SQL that is none": made_by("names", "table", "CREATE TABLE names (((("),
    "a table in itself": looped,
    "a journal of its own": at(18, b"\2\2"),
    "pages of another size": at(16, b"\0\1"),
    "words that are damaged": sql("UPDATE searched_data SET block = x'ffffffffffffffffffffffff'"),
    "words that are long": sql("UPDATE searched_data SET block = zeroblob(1000000) WHERE id > 10"),
    "words of another version": sql("UPDATE searched_config SET v = 99"),
    "words that are listed wrongly": sql("UPDATE searched_idx SET pgno = 1 << 60"),
    "words that are numbers": sql("UPDATE searched_content SET c0 = 7"),
    "no catalogue": lambda index, _: seal(index / "catalog.sqlite", b"no database" * 1000),
    "an empty catalogue": lambda index, _: seal(index / "catalog.sqlite", b""),
    "a catalogue shorter than a checksum": lambda index, _: (index / "catalog.sqlite").write_bytes(b"short"),
}

ROWS: dict[str, Attack] = {
    "a name is a number": sql("UPDATE names SET name = 7 WHERE id = 2"),
    "a name is a fraction": sql("UPDATE names SET name = 7.5 WHERE id = 2"),
    "a name is bytes of text": sql("UPDATE names SET name = CAST('a.jpg' AS BLOB) WHERE id = 2"),
    "a name has a NUL": sql("UPDATE names SET name = 'a' || char(0) || 'b' WHERE id = 2"),
    "a name is nothing decoded": sql("UPDATE names SET name = CAST(x'61ff62' AS TEXT) WHERE id = 2"),
    "a name of no image": sql("UPDATE names SET image = 'x' WHERE id = 2"),
    "a time is text": sql("UPDATE names SET mtime_ns = 'now' WHERE id = 2"),
    "a text is bytes": sql("UPDATE names SET text = x'00ff' WHERE id = 2"),
    "a caption is bytes": sql("UPDATE images SET caption = x'00ff'"),
    "a width of 0": sql("UPDATE images SET width = 0 WHERE id = 2"),
    "a width beyond bounds": sql("UPDATE images SET width = 1 << 60"),
    "a height is text": sql("UPDATE images SET height = 'high'"),
    "a size is negative": sql("UPDATE images SET bytes = -1"),
    "features are negative": sql("UPDATE images SET features = -60"),
    "features that overflow": sql("UPDATE images SET features = 9223372036854775807"),
    "features are bytes": sql("UPDATE images SET features = x'00'"),
    "a checksum is text": sql("UPDATE images SET sha256 = 'x' || id"),
    "an image that is in a segment alone": both(
        sql("DELETE FROM names WHERE image = 4", "DELETE FROM images WHERE id = 4"), without("pairs.log")
    ),
    "an image in no segment": sql("UPDATE images SET segment = 'x' WHERE id = 2"),
    "the number of an image overflows": sql("UPDATE images SET id = 9223372036854775807 WHERE id = 2"),
    "the number of an image is negative": sql(
        "UPDATE images SET id = -2 WHERE id = 2", "UPDATE names SET image = -2 WHERE image = 2"
    ),
    "the number of a segment is negative": sql("UPDATE segments SET id = -1 WHERE id = 1"),
    "the number of a segment is huge": sql("UPDATE segments SET id = 1 << 62 WHERE id = 1"),
    "the counts of a segment are negative": sql("UPDATE segments SET images = -1, features = -1"),
    "the counts of a segment are text": sql("UPDATE segments SET features = 'many'"),
    "the checksum of a segment is a number": sql("UPDATE segments SET manifest = 7"),
    "the next segment is text": sql("UPDATE sqlite_sequence SET seq = 'x'"),
    "the next segment overflows": sql("UPDATE sqlite_sequence SET seq = 9223372036854775807"),
    "what was removed is bytes": sql("UPDATE tombstones SET features = x'00'"),
    "what was removed is more than there was": sql("UPDATE tombstones SET features = 1 << 40"),
    "a verdict on text": sql("INSERT INTO verdicts VALUES ('a', 'b', 1)"),
    "the description is bytes": said("features", b"\0\xff", is_json=True),
    "the description is no JSON": said("features", "{", is_json=True),
    "the description in nested brackets": said("features", _NESTED, is_json=True),
    "the version is text": said("version", "new"),
    "the root is a number": said("root", 7),
    "the root is nothing": said("root", 0),
    "the root is a list": said("root", ["a"]),
    "the root has a NUL": said("root", "a\0b"),
    "options of 100,000 features": options(
        features=100_000, features_at_longest=100_000, shortest_px=10_000, longest_px=10_000
    ),
    "options of more": options(features=1 << 40),
    "options are text": options(features="many"),
    "options are no numbers": said("features", '{"detector": "sift", "longest_px": NaN}', is_json=True),
    "options are a list": said("features", []),
    "options of another detector": options(detector="orb"),
    "options unknown": options(more=1),
}


COLUMNS: dict[str, Attack] = {
    "a column of 2^40 rows": other_column("x", header(f"({1 << 40},)", "'<u2'") + bytes(100)),
    "a column of another type": other_column("x", np.zeros(9, np.float64)),
    "a pickled column": lambda index, victim: column(index, "x", pickled(victim)),
    "a column of another version": other_column("x", b"\x93NUMPY\x03\0" + struct.pack("<I", 1 << 31)),
    "a column that is too short": other_column("y", np.zeros(1, np.uint16)),
    "postings of images that are not there": filled("image", 1 << 31),
    "postings out of order": changed("image", lambda values: np.copyto(values, np.sort(values)[::-1])),
    "posting lists beyond the columns": filled("offsets", 1 << 31, slice(5, None)),
    "posting lists that overlap": filled("offsets", 1 << 31, 5),
    "widths of 0": filled("widths", 0),
    "widths beyond bounds": filled("widths", (1 << 31) - 1),
    "heights are negative": filled("heights", -1),
    "features are fewer than none": filled("features", -1),
    "features are more than there are": filled("features", (1 << 31) - 1),
    "ids all the same": filled("ids", 1),
    "ids are negative": changed("ids", lambda values: np.negative(values, out=values)),
    "ids that overflow": filled("ids", (1 << 63) - 1, 0),
    "ids of images that are not there": changed("ids", lambda values: np.add(values, 1000, out=values)),
    "ids of another segment": filled("ids", 1, 0, 2),
    "looks that say anything": changed("looks", lambda values: values["layout"].fill(-128)),
    "pictures shorter than is said": other_column("pictures", np.zeros(9, np.uint8)),
    "pictures of no size": pictures(lambda one: one[:4].fill(0)),
    "pictures of 65,535 px": pictures(lambda one: one[:4].fill(255)),
    "pictures in no steps": pictures(lambda one: one[4:5].fill(0)),
    "pictures of noise": pictures(lambda one: one[5:].fill(255)),
    "pictures without a head": pictures(lambda one: one, most=3),
    "pictures that overflow": filled("picture_bytes", (1 << 32) - 1),
    "a manifest without pictures": lambda index, _: described(
        index, (segment_folder(index, 1) / MANIFEST).read_text().replace('"pictures.npy"', '"more.npy"')
    ),
    "a manifest of a format that has none": lambda index, _: described(
        index, (segment_folder(index, 1) / MANIFEST).read_text().replace('"version": 3', '"version": 2')
    ),
    "a manifest in nested brackets": manifest(_NESTED),
    "a manifest of 100 MB": lambda index, _: described(index, "[" + " " * 100_000_000 + "]"),
    "a manifest of text": lambda index, _: described(
        index, re.sub(r'"bytes": \d+', '"bytes": "many"', (segment_folder(index, 1) / MANIFEST).read_text())
    ),
    "a manifest of a list": manifest("[]"),
}

PAIRS: dict[str, Attack] = {
    "pairs of images that are not there": pairs(between=np.array([[99, 98]])),
    "pairs of one image": pairs(between=np.array([[1, 1]])),
    "pairs without homographies": pairs(homography=None),
    "pairs with fewer homographies": pairs(homography=np.empty((0, 3, 3))),
    "pairs of another shape": pairs(homography=np.ones((1, 9))),
    "pairs by no numbers": pairs(homography=np.full((1, 3, 3), np.nan)),
    "pairs by nothing": pairs(homography=np.zeros((1, 3, 3))),
    "pairs by a line": pairs(homography=np.ones((1, 3, 3))),
    "pairs by huge numbers": pairs(homography=np.eye(3)[None] * 1e300),
    "pairs by a horizon": pairs(homography=np.array([[[1.0, 0, 0], [0, 1, 0], [1, 1, 1e-9]]])),
    "pairs with evidence of no numbers": pairs(evidence=np.full((1, 9), np.nan)),
    "pairs with endless evidence": pairs(evidence=np.full((1, 9), np.inf)),
    "pairs with negative counts": pairs(counts=np.full((1, 3), -5, np.int32)),
    "pairs of images by text": pairs(images=np.array(["a"] * 5)),
    "pairs pickled": lambda index, victim: record(index, pickled(victim)),
    "pairs of 4 GiB": lambda index, _: record(index, b"short", 1 << 32),
    "pairs in nested brackets": lambda index, _: record(index, _NESTED.encode()),
}

ATTACKS = LINKS | VOCABULARIES | CATALOGUES | ROWS | COLUMNS | PAIRS
