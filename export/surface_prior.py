"""Write the dense shape prior of landmark detection: `python -m export.surface_prior --data ../shared/data`.

Principal components of skin points and the 68 landmarks of random ICT identities with the proportions and mild
expressions that the networks are trained on, one standard deviation each, half precision.
"""

import argparse
from pathlib import Path

import numpy as np

from export import ict, landmark_data
from freetalk_blender.core import frame, raster, surface_fit

OUTPUT = Path(surface_fit.__file__).with_name("surface_prior.npz")
FACES, MODES, POINTS = 3000, 100, 1400


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


def canonical_faces(model: ict.IctModel, rows: np.ndarray, count: int) -> np.ndarray:
    """(count, 68 + R, 3) canonical landmarks and rows of random faces."""
    every = np.concatenate([model.landmark_vertices, rows])
    faces = []
    for seed in range(count):
        points = landmark_data.registered_face(model, np.random.default_rng(seed), every).astype(float)
        faces.append(frame.canonical_frame(points[:68]).to_canonical(points))
    return np.stack(faces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ict_facekit/")
    model = ict.load(parser.parse_args().data)
    rows = skin_points(model, POINTS)
    faces = canonical_faces(model, rows, FACES)
    mean = faces.mean(0)
    # Similarity is fitted apart, so what it explains is taken out first: each face is aligned to the mean.
    for _ in range(3):
        faces = np.stack([frame.align(face, mean).to_mesh(face) for face in faces])
        mean = faces.mean(0)
    _, singular, vt = np.linalg.svd((faces - mean).reshape(FACES, -1).astype(np.float32), full_matrices=False)
    modes = (vt[:MODES] * (singular[:MODES, None] / np.sqrt(FACES))).reshape(MODES, -1, 3)
    normals = raster.vertex_normals(model.neutral, model.triangles[(model.triangles < ict.SKIN).all(1)])[rows]
    left = 1 - (singular[:MODES] ** 2).sum() / (singular**2).sum()
    np.savez_compressed(
        OUTPUT, mean=mean.astype(np.float32), modes=modes.astype(np.float16), normals=normals.astype(np.float16)
    )
    print(f"wrote {OUTPUT}: {MODES} modes leave {left:.1%} of the variance, {OUTPUT.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
