"""ICT-FaceKit as arrays: identities x expressions, in centimetres, with their 68 landmarks.

Public original: github.com/ICT-VGL/ICT-FaceKit (MIT). `--data` folders hold it as ict_facekit/ict_facekit.npz.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from freetalk_blender.core import frame

#: Vertex ranges of the registered model: name -> (first, last + 1).
PARTS = {
    "face": (0, 9409),
    "head_neck": (9409, 11248),
    "mouth_socket": (11248, 13294),
    "eye_sockets": (13294, 14062),
    "gums_tongue": (14062, 17039),
    "teeth": (17039, 21451),
    "eyeballs": (21451, 24591),
}
NARROW_FACE = 6706
SKIN = 9409


@dataclass(frozen=True)
class IctModel:
    """neutral (V,3), identity (100,V,3), expression (E,V,3) displacements in cm; quads (F,4), -1 marks a triangle."""

    neutral: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    quads: np.ndarray
    expression_names: tuple[str, ...]
    landmark_vertices: np.ndarray

    @cached_property
    def triangles(self) -> np.ndarray:
        """(T,3) int32: quads split along 0-2, triangles as they are."""
        quads = self.quads
        second = quads[quads[:, 3] >= 0]
        return np.concatenate([quads[:, :3], second[:, [0, 2, 3]]]).astype(np.int32)

    def face(self, identity: np.ndarray) -> np.ndarray:
        """(V,3) neutral face of identity weights (100,), N(0,1) each."""
        return self.neutral + np.tensordot(np.asarray(identity, np.float32), self.identity, 1)

    def offsets(self, weights: np.ndarray) -> np.ndarray:
        """(T,V,3) expression displacements of weights (T,E) in [0,1]."""
        return np.tensordot(np.asarray(weights, np.float32), self.expression, 1)

    def weights(self, *frames: dict[str, float]) -> np.ndarray:
        """(T,E) float32 weights of frames that name their expression shapes."""
        found = np.zeros((len(frames), len(self.expression_names)), np.float32)
        for row, shapes in zip(found, frames, strict=True):
            for name, weight in shapes.items():
                row[self.index(name)] = weight
        return found

    def landmark_motion(self, weights: np.ndarray) -> np.ndarray:
        """(T,68,3) float32 canonical motion of the average face's landmarks at weights (T,E)."""
        face = frame.canonical_frame(self.neutral[self.landmark_vertices])
        return face.vectors_to_canonical(self.offsets(weights)[:, self.landmark_vertices]).astype(np.float32)

    def index(self, name: str) -> int:
        """Row of one expression shape; KeyError with the known names otherwise."""
        if name not in self.expression_names:
            raise KeyError(f"no ICT expression {name!r}; known: {', '.join(self.expression_names)}")
        return self.expression_names.index(name)


def sides(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The expression of that name, or those of both sides where each has its own."""
    return (name,) if name in known else (f"{name}_L", f"{name}_R")


def load(data: Path) -> IctModel:
    """Read the model from the `--data` folder; FileNotFoundError names the missing file."""
    folder = Path(data) / "ict_facekit"
    with np.load(folder / "ict_facekit.npz") as arrays:
        neutral, quads = arrays["neutral"], arrays["faces"]
        identity, expression = arrays["identity"], arrays["expression"]
        names = tuple(str(name) for name in arrays["expression_names"])
    indices = json.loads((folder / "vertex_indices.json").read_text())
    landmarks = np.array(indices["idx_to_landmark_verts"], np.int32)
    return IctModel(
        neutral.astype(np.float32),
        identity.astype(np.float32),
        expression.astype(np.float32),
        quads.astype(np.int32),
        names,
        landmarks,
    )
