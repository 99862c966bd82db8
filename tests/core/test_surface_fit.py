"""The surface around landmarks corrects them, and says nothing where there is none."""

import numpy as np
import pytest

from freetalk_blender.core.detection import surface_fit
from freetalk_blender.core.detection.surface_fit import fit_surface
from freetalk_blender.core.landmarks import COUNT


@pytest.fixture(scope="module")
def stranger() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks (68, 3), skin points and their normals of a face that the model can make."""
    model = surface_fit.prior()
    code = np.random.default_rng(5).normal(0, 1, len(model.modes))
    face = model.mean + np.tensordot(code, model.modes, 1)
    return face[:COUNT], face[COUNT:], model.normals


def off(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(found - truth, axis=1).mean())


def test_the_surface_corrects_landmarks_that_are_off(stranger) -> None:
    truth, skin, normals = stranger
    given = truth + np.random.default_rng(1).normal(0, 0.03, truth.shape)
    error = np.full(COUNT, 0.05)
    laid = fit_surface(given, error, skin, normals)
    alone = fit_surface(given, error, skin + 9, normals)
    assert off(laid.points, truth) < 0.6 * off(given, truth)
    assert off(laid.points, truth) < off(alone.points, truth) - 0.002


def test_a_face_of_which_half_is_missing_is_completed(stranger) -> None:
    truth, skin, normals = stranger
    there = skin[:, 0] < 0.1
    lost = truth[:, 0] > 0.15
    given = truth + np.where(lost[:, None], 0.1, 0.01) * np.random.default_rng(2).normal(size=truth.shape)
    error = np.where(lost, 0.2, 0.015)
    laid = fit_surface(given, error, skin[there], normals[there])
    assert off(laid.points[lost], truth[lost]) < 0.6 * off(given[lost], truth[lost])
    assert laid.error[lost].mean() > laid.error[~lost].mean()


def test_a_fit_goes_on_from_an_earlier_one_and_ends_where_it_would_have(stranger) -> None:
    truth, skin, normals = stranger
    rng = np.random.default_rng(6)
    rough, better = (truth + rng.normal(0, spread, truth.shape) for spread in (0.04, 0.01))
    anew = fit_surface(better, np.full(COUNT, 0.015), skin, normals)
    first = fit_surface(rough, np.full(COUNT, 0.05), skin, normals)
    further = fit_surface(better, np.full(COUNT, 0.015), skin, normals, first)
    assert off(further.points, anew.points) < 0.1 * off(first.points, anew.points) + 0.001


def test_landmarks_stay_where_a_scan_lost_its_relief(stranger, monkeypatch) -> None:
    truth, skin, normals = stranger
    model = surface_fit.prior()
    still = (model.modes[:, :COUNT] == 0).all((1, 2))
    flat = skin + 1.5 * model.modes[still, COUNT:].sum(0)
    given = truth + np.random.default_rng(4).normal(0, 0.01, truth.shape)
    error = np.full(COUNT, 0.03)
    knowing = fit_surface(given, error, flat, normals)
    ignorant = surface_fit.SurfacePrior(model.mean, model.modes[~still], model.normals)
    monkeypatch.setattr(surface_fit, "prior", lambda: ignorant)
    monkeypatch.setattr(surface_fit, "_basis", lambda: ignorant.modes.transpose(1, 2, 0))
    misled = fit_surface(given, error, flat, normals)
    assert off(knowing.points, truth) < 0.6 * off(misled.points, truth)


def test_where_a_scan_is_bumpy_its_surface_counts_for_less(stranger, monkeypatch) -> None:
    truth, skin, normals = stranger
    low = skin[:, 1] < -0.5
    bumps = 0.03 * np.sin(12 * skin[:, 0]) * np.cos(12 * skin[:, 1])
    bearded = skin + np.where(low, bumps, 0.0)[:, None] * normals
    given = truth + np.random.default_rng(7).normal(0, 0.01, truth.shape)
    error = np.full(COUNT, 0.02)
    wary = fit_surface(given, error, bearded, normals)
    sigma = surface_fit.surface_sigma(np.arange(len(skin)), np.where(low, bumps, 0.001))
    assert np.median(sigma[low]) > 2 * surface_fit.LEAST_SIGMA > 1.9 * np.median(sigma[~low])
    monkeypatch.setattr(surface_fit, "MOST_SIGMA", surface_fit.LEAST_SIGMA)
    trusting = fit_surface(given, error, bearded, normals)
    assert off(wary.points, truth) < 0.9 * off(trusting.points, truth)


def test_normals_may_point_inwards(stranger) -> None:
    truth, skin, normals = stranger
    given = truth + np.random.default_rng(3).normal(0, 0.03, truth.shape)
    one = fit_surface(given, np.full(COUNT, 0.05), skin, normals)
    other = fit_surface(given, np.full(COUNT, 0.05), skin, -normals)
    assert other.points == pytest.approx(one.points)


def test_relief_is_how_far_the_surface_lies_outside_the_model(stranger) -> None:
    truth, skin, normals = stranger
    laid = fit_surface(truth, np.full(COUNT, 0.01), skin, normals)
    there = skin[:, 0] < 0.3
    raised = skin[there] + 0.01 * normals[there]
    height, plain = (surface_fit.relief(laid, points, normals[there]) for points in (raised, skin[there]))
    assert abs(np.nanmedian(height[there] - plain[there]) - 0.01) < 0.002
    assert np.isnan(height[skin[:, 0] > 0.4]).all()
