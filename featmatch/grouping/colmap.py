"""Pairs of an index -> the files of hloc and COLMAP.

COLMAP's database has, for each image, a camera whose lens is not known, and the keypoints; for each pair, which of
these agree, and their homography. Its pixels begin at the corner of the first one, where ours have its centre.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np

from featmatch.features.extraction import Features
from featmatch.geometry.exact import product
from featmatch.geometry.maps import Matrix
from featmatch.grouping.joining import StoredImage
from featmatch.grouping.two_views import TwoViews
from featmatch.system.files import replace_file

_MOST_IMAGES = 2**31 - 1
_SIMPLE_RADIAL = 2
_FOCAL_LENGTH = 1.2  # of the longer side: what COLMAP itself takes where the file does not say
_PLANE_OR_PANORAMA = 6  # of its kinds of two views: one homography explains all

_TABLES = f"""
CREATE TABLE cameras (camera_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, model INTEGER NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, params BLOB, prior_focal_length INTEGER NOT NULL);
CREATE TABLE images (image_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name TEXT NOT NULL UNIQUE,
    camera_id INTEGER NOT NULL, CONSTRAINT image_id_check CHECK(image_id >= 0 and image_id < {_MOST_IMAGES}),
    FOREIGN KEY(camera_id) REFERENCES cameras(camera_id));
CREATE UNIQUE INDEX index_name ON images(name);
CREATE TABLE keypoints (image_id INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL, cols INTEGER NOT NULL, data BLOB,
    FOREIGN KEY(image_id) REFERENCES images(image_id) ON DELETE CASCADE);
CREATE TABLE descriptors (image_id INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL, cols INTEGER NOT NULL,
    data BLOB, FOREIGN KEY(image_id) REFERENCES images(image_id) ON DELETE CASCADE);
CREATE TABLE matches (pair_id INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL, cols INTEGER NOT NULL, data BLOB);
CREATE TABLE two_view_geometries (pair_id INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL, cols INTEGER NOT NULL,
    data BLOB, config INTEGER NOT NULL, F BLOB, E BLOB, H BLOB, qvec BLOB, tvec BLOB);
"""


def write_pairs(target: Path, names: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Write a list of pairs as hloc reads it: a line for each, two names with a space between.

    Returns:
        The pairs that cannot be said so, since a name has white space in it; they are not in the list.

    Raises:
        OSError: it cannot be written.
    """
    unfit = []
    with replace_file(target) as file:
        for one, other in names:
            if len(f"{one} {other}".split()) == 2:
                file.write(f"{one} {other}\n".encode("utf-8", "surrogateescape"))
            else:
                unfit.append((one, other))
    return unfit


def write_database(
    target: Path, images: Mapping[int, StoredImage], names: Mapping[int, str], views: Iterable[TwoViews]
) -> int:
    """Write COLMAP's database; image numbers are those of the index.

    Args:
        target: the file; replaced, if there is one.
        images: by number.
        names: by number.
        views: of pairs of these images.

    Returns:
        How many pairs it has.

    Raises:
        OSError: it cannot be written.
    """
    count = 0
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_TABLES)
        for number, image in sorted(images.items()):
            _add_image(connection, number, names[number], image.features)
        for view in views:
            _add_views(connection, view)
            count += 1
        connection.commit()
        with replace_file(target) as file, closing(sqlite3.connect(file.name)) as written:
            try:
                connection.backup(written)
            except sqlite3.Error as error:  # as of a full disk
                raise OSError(str(error)) from error
    return count


def _add_image(connection: sqlite3.Connection, number: int, name: str, features: Features) -> None:
    width, height = features.width, features.height
    lens = np.array([_FOCAL_LENGTH * max(width, height), width / 2, height / 2, 0], "<f8").tobytes()
    keypoints = np.column_stack([features.keypoints + np.float32(0.5), features.sizes / 2, features.angles])
    text = name.encode("utf-8", "surrogateescape")  # its bytes, since no two files have the same
    connection.execute("INSERT INTO cameras VALUES (?, ?, ?, ?, ?, 0)", (number, _SIMPLE_RADIAL, width, height, lens))
    connection.execute("INSERT INTO images VALUES (?, CAST(? AS TEXT), ?)", (number, text, number))
    rows, columns = keypoints.shape
    data = keypoints.astype("<f4").tobytes()
    connection.execute("INSERT INTO keypoints VALUES (?, ?, ?, ?)", (number, rows, columns, data))


def _add_views(connection: sqlite3.Connection, view: TwoViews) -> None:
    number = _MOST_IMAGES * view.proven.one + view.proven.other
    said = number, len(view.features), 2, view.features.astype("<u4").tobytes()
    homography = _from_corners(view.other_from_one).astype("<f8").tobytes()
    nothing = np.zeros((3, 3)).tobytes()
    connection.execute("INSERT INTO matches VALUES (?, ?, ?, ?)", said)
    connection.execute(
        "INSERT INTO two_view_geometries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*said, _PLANE_OR_PANORAMA, nothing, nothing, homography, np.array([1.0, 0, 0, 0]).tobytes(), nothing[:24]),
    )


def _from_corners(homography: Matrix) -> Matrix:
    """The same map between px that begin at the corner of the first one."""
    half = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    back = np.array([[1.0, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    return product(half, homography, back)
