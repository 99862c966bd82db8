"""Write the dense shape prior of landmark detection: `python -m export.surface_prior --data ../shared/data`.

Principal components of skin points and the 68 landmarks of random ICT identities with the proportions and mild
expressions that the networks are trained on, every second one with features of other shapes (export/reshaping.py); one
standard deviation each, half precision. To them come modes of the skin alone: what smoothing leaves of a face's relief,
while its landmarks stay where they were.
"""

from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from export import command, ict, landmark_prior
from freetalk_blender.core import atomic, frame
from freetalk_blender.core.detection import surface_fit
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.surface import raster

OUTPUT = Path(surface_fit.__file__).with_name("surface_prior.npz")
FACES, MODES, POINTS = 3000, 150, 1400
#: Widths of the Gaussians that smooth the skin, one mode each, and how near to the lids nothing is smoothed (mm): there
#: lie eyeballs, which a smoothed scan has and the skin has not.
WIDTHS, LIDS = (2.0, 4.0, 7.0), 8.0


def skin_points(model: ict.IctModel, count: int) -> np.ndarray:
    """(count,) vertices spread over the skin of face and throat (farthest-point sampling), none inside lips or lids."""
    triangles = model.triangles[(model.triangles < ict.SKIN).all(1)]
    normals = raster.vertex_normals(model.neutral, triangles)
    outward = normals[: ict.SKIN, 2] > -0.3
    lower = model.neutral[: ict.SKIN, 1] > model.neutral[model.landmark_vertices[8], 1] - 2.5
    candidates = np.flatnonzero(outward & lower)
    points = model.neutral[candidates]
    chosen = [0]
    distance = np.full(len(points), np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    return candidates[chosen]


def smoothing_modes(model: ict.IctModel, rows: np.ndarray) -> np.ndarray:
    """(W, 68 + R, 3) canonical: the average face's landmarks, which stay, and rows, as far along their normals as each
    of the WIDTHS takes them. The fit then need not take a scan's lost relief for a face with a flat nose."""
    face = frame.canonical_frame(model.neutral[model.landmark_vertices].astype(float))
    vertices = face.to_canonical(model.neutral.astype(float))
    skin = model.triangles[(model.triangles < ict.SKIN).all(1)]
    first, end = ict.PARTS["eyeballs"]
    eyes = model.triangles[((model.triangles >= first) & (model.triangles < end)).all(1)]
    corners = vertices[np.concatenate([skin, eyes])]
    points, normals = vertices[rows], raster.vertex_normals(vertices, skin)[rows]
    landmarks = vertices[model.landmark_vertices]
    away = cKDTree(landmarks[36:48]).query(points)[0] * EYE_DISTANCE_MM / LIDS
    modes = np.zeros((len(WIDTHS), len(landmarks) + len(rows), 3))
    for mode, width in zip(modes, WIDTHS, strict=True):
        raised = smoothed(points, normals, corners, width / EYE_DISTANCE_MM) * (1 - np.exp(-(away**4)))
        mode[len(landmarks) :] = raised[:, None] * normals
    return modes


def smoothed(points: np.ndarray, normals: np.ndarray, corners: np.ndarray, width: float) -> np.ndarray:
    """(P,) how far points (P, 3) rise along their normals where a Gaussian of a width (standard deviation) smooths the
    surface of triangle corners (T, 3, 3)."""
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    samples = ((corners.sum(1, keepdims=True) + corners) / 4).reshape(-1, 3)
    weight = np.repeat(area, 3)
    raised = np.empty(len(points))
    for row, near in enumerate(cKDTree(samples).query_ball_point(points, 3 * width)):
        away = samples[near] - points[row]
        share = weight[near] * np.exp(-0.5 * (away**2).sum(1) / width**2)
        raised[row] = share @ (away @ normals[row]) / share.sum()
    return raised


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    model = ict.load(parser.parse_args().data)
    rows = skin_points(model, POINTS)
    faces = landmark_prior.aligned_faces(model, np.concatenate([model.landmark_vertices, rows]), FACES, reshaped=True)
    mean = faces.mean(0)
    modes, left = landmark_prior.principal((faces - mean).reshape(FACES, -1).astype(np.float32), MODES)
    modes = np.concatenate([modes.reshape(MODES, -1, 3), smoothing_modes(model, rows)])
    normals = raster.vertex_normals(model.neutral, model.triangles[(model.triangles < ict.SKIN).all(1)])[rows]
    half = {"modes": modes.astype(np.float16), "normals": normals.astype(np.float16)}
    with atomic.output(OUTPUT) as partial:
        np.savez_compressed(partial, mean=mean.astype(np.float32), **half)
    size = OUTPUT.stat().st_size / 1e6
    print(f"wrote {OUTPUT}: {MODES} of {len(modes)} modes leave {left:.1%} of the variance, {size:.2f} MB")


if __name__ == "__main__":
    command.run(main)
