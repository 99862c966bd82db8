"""What tests of the engine share: the sample's surface, bound once, and its sentence as the networks hear it."""

from pathlib import Path

import numpy as np
import pytest

from freetalk_blender.core import landmarks
from freetalk_blender.core.face import Face, prepare
from freetalk_blender.core.surface import scan_file
from freetalk_blender.core.voice import audio, speech


@pytest.fixture(scope="session")
def scan(head: Path, head_landmarks: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, triangles and landmark points of the sample head, a bust in a shirt."""
    return *scan_file.read(head), landmarks.read(head_landmarks).points


@pytest.fixture(scope="session")
def face(scan: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Face:
    return prepare(*scan)


@pytest.fixture(scope="session")
def spoken(sentence: Path) -> np.ndarray:
    return audio.load(sentence)[0]


@pytest.fixture(scope="session")
def features(spoken: np.ndarray) -> np.ndarray:
    return speech.surrounded(spoken, "cpu")
