"""Write the shape prior of landmark detection: `python -m export.landmark_prior --data ../shared/data`.

Principal components of the canonical landmarks of random ICT identities with the proportions and mild expressions that
the networks are trained on; 40 modes, one standard deviation each.
"""

import argparse
from pathlib import Path

import numpy as np

from export import command, ict, landmark_data
from freetalk_blender.core import frame
from freetalk_blender.core.detection import face_placing

OUTPUT = Path(face_placing.__file__).with_name("landmark_prior.npz")
FACES, MODES = 3000, 40


def canonical_faces(model: ict.IctModel, count: int) -> np.ndarray:
    """(count, 68, 3) canonical landmarks of random faces."""
    faces = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        points = landmark_data.registered_face(model, rng, model.landmark_vertices).astype(float)
        faces.append(frame.canonical_frame(points).to_canonical(points))
    return np.stack(faces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ict_facekit/")
    faces = canonical_faces(ict.load(parser.parse_args().data), FACES)
    mean = faces.mean(0)
    # Similarity is fitted apart, so what it explains is taken out first: each face is aligned to the mean.
    for _ in range(3):
        faces = np.stack([frame.align(face, mean).to_mesh(face) for face in faces])
        mean = faces.mean(0)
    _, singular, vt = np.linalg.svd((faces - mean).reshape(FACES, -1), full_matrices=False)
    modes = vt[:MODES] * (singular[:MODES, None] / np.sqrt(FACES))
    left = 1 - (singular[:MODES] ** 2).sum() / (singular**2).sum()
    np.savez(OUTPUT, mean=mean.astype(np.float32), modes=modes.reshape(MODES, 68, 3).astype(np.float32))
    print(f"wrote {OUTPUT}: {MODES} modes leave {left:.1%} of the variance")


if __name__ == "__main__":
    command.run(main)
