"""The points of a match, and the features of an image, for the page to draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from tests.service.conftest import problem


def test_points_are_where_features_of_both_pictures_are(client: TestClient, drawn: list[Path]) -> None:
    told = client.post("/v1/search", content=drawn[2].read_bytes()).json()
    place = f"/v1/queries/{told['query_id']}/matches"
    points = np.array(client.get(f"{place}/3/points").json()["points"])
    assert points.shape == (told["matches"][0]["inliers"], 4)
    assert np.abs(points[:, :2] - points[:, 2:]).max() < 1
    features = np.array(client.get("/v1/images/3/features").json()["features"])
    assert len(features) == client.get("/v1/images/3").json()["features"]
    assert all(np.abs(features[:, :2] - point).max(axis=1).min() < 1 for point in points[:, 2:])
    of_pair = client.get("/v1/images/3/with/3/points").json()["points"]
    assert len(of_pair) > 20
    assert problem(client.get(f"{place}/1/points")) == (404, "no_such_image")
    assert problem(client.get("/v1/images/99/features")) == (404, "no_such_image")
