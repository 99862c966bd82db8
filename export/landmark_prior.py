"""Write the shape prior of landmark detection: `python -m export.landmark_prior --data ../shared/data`.

Principal components of the canonical landmarks of random ICT identities with the proportions and mild expressions that
the networks are trained on; 40 modes, one standard deviation each.
"""

from pathlib import Path

import numpy as np

from export import command, ict, landmark_data
from freetalk_blender.core import atomic, frame
from freetalk_blender.core.detection import face_placing
from freetalk_blender.core.landmarks import COUNT

OUTPUT = Path(face_placing.__file__).with_name("landmark_prior.npz")
FACES, MODES = 3000, 40


def aligned_faces(model: ict.IctModel, rows: np.ndarray, count: int, reshaped: bool = False) -> np.ndarray:
    """(count, R, 3) canonical places of rows (R,), the landmarks' first, of random faces, each laid on their mean: a
    similarity is fitted apart, so what it explains is no mode. reshaped: every second one, as in `registered_face`."""
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        points = landmark_data.registered_face(model, rng, rows, reshaped=reshaped and seed % 2 == 1).astype(float)
        found.append(frame.canonical_frame(points[:COUNT]).to_canonical(points))
    faces = np.stack(found)
    for _ in range(3):
        mean = faces.mean(0)
        faces = np.stack([frame.align(face, mean).to_mesh(face) for face in faces])
    return faces


def principal(deviations: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """(count, D) principal components of deviations (N, D), one standard deviation each, and the share of the variance
    that they leave."""
    _, singular, vt = np.linalg.svd(deviations, full_matrices=False)
    left = 1 - (singular[:count] ** 2).sum() / (singular**2).sum()
    return vt[:count] * (singular[:count, None] / np.sqrt(len(deviations))), float(left)


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    model = ict.load(parser.parse_args().data)
    faces = aligned_faces(model, model.landmark_vertices, FACES)
    mean = faces.mean(0)
    modes, left = principal((faces - mean).reshape(FACES, -1), MODES)
    with atomic.output(OUTPUT) as partial:
        np.savez(partial, mean=mean.astype(np.float32), modes=modes.reshape(MODES, 68, 3).astype(np.float32))
    print(f"wrote {OUTPUT}: {MODES} modes leave {left:.1%} of the variance")


if __name__ == "__main__":
    command.run(main)
