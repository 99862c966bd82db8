"""Heavy scans move as if they had been bound themselves."""

import numpy as np
import pytest

from freetalk_blender.core import mesh, proxy, stm
from freetalk_blender.core.interpolant import interpolant
from tests.core.test_stm import MM, head, speech


def test_a_stand_in_moves_the_scan_as_the_scan_itself(monkeypatch):
    vertices, triangles, landmarks = head(12000)
    itself = stm.bind(vertices, triangles, landmarks, device="cpu").displace(speech())
    monkeypatch.setattr(stm, "HEAVY", 5000)
    monkeypatch.setattr(stm, "LIGHT", 6000)
    bound = stm.bind(vertices, triangles, landmarks, device="cpu")
    moved = bound.displace(speech())
    assert bound.proxy is not None and moved.shape == itself.shape
    assert np.linalg.norm(moved - itself, axis=2).mean() < 0.1 * MM
    codes = bound.codes(speech())
    spread = bound.spread(bound.matrix.reshape(codes.shape[1], -1, 3))
    np.testing.assert_allclose(np.tensordot(codes, spread, 1), moved, atol=1e-3 * MM)


@pytest.mark.parametrize("count", [6000, 24000])  # collapsed edge by edge; clustered first
def test_every_vertex_lies_where_its_place_on_the_stand_in_says(count):
    vertices, triangles, landmarks = head(count)
    light = proxy.simplify(vertices, triangles, 3000, landmarks)
    assert 2500 < len(light.vertices) < 3600
    distance = np.linalg.norm(light.carry(light.vertices) - vertices, axis=1)
    assert np.quantile(distance, 0.99) < 1.0 * MM
    np.testing.assert_allclose(light.shares.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("count", [4000, 1000])  # collapsed edge by edge; clustered first
def test_sheets_that_touch_do_not_mix(count):
    vertices, triangles, _ = head(4000)
    inner = vertices * 0.999
    both = np.concatenate([vertices, inner])
    light = proxy.simplify(both, np.concatenate([triangles, triangles + len(vertices)]), count, np.zeros(0, int))
    outer_faces = np.zeros(len(light.vertices), bool)
    outer_faces[light.merged[: len(vertices)]] = True
    mixed = light.carry(outer_faces[:, None].astype(np.float32))[:, 0]
    np.testing.assert_allclose(mixed, np.repeat([1.0, 0.0], len(vertices)), atol=1e-5)


def test_loose_vertices_stay_where_they_are():
    vertices, triangles, _ = head(3000)
    light = proxy.simplify(np.concatenate([vertices, [[5, 5, 5]]]), triangles, 1000, np.zeros(0, int))
    assert not light.carry(np.ones((2, len(light.vertices), 3), np.float32))[:, -1].any()


def test_the_stand_in_of_a_subdivided_sculpt_has_no_vanishing_edges():
    vertices, triangles, landmarks = head(1500)
    fine = mesh.CleanMesh(vertices, triangles, np.arange(len(vertices)))
    for _ in range(2):
        fine = mesh.subdivided(fine)  # flat within each of the first triangles
    light = proxy.simplify(fine.vertices, fine.triangles, 6000, landmarks)
    corners = light.vertices[light.triangles]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    assert edges.min() > 0.02 * np.median(edges)
    assert (light.vertices[light.merged[landmarks]] == fine.vertices[landmarks].astype(np.float32)).all()
    interpolant(light.vertices.astype(np.float64), light.triangles, light.merged[landmarks])
