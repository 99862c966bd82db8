"""What tests share: the project's own sample, and a Blender that leaves the person's settings alone."""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

# Before the first `import bpy`: no settings, no extensions of the person's.
_RESOURCES = os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="freetalk-tests-")
atexit.register(shutil.rmtree, _RESOURCES, ignore_errors=True)

_STATUS = pytest.StashKey[int]()
ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Tests keep parts of Blender alive as Python ends; Blender 4.5 may then wait for its sound device for ever."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if "bpy" in sys.modules and reporter is not None:
        reporter.flush()
        shutil.rmtree(_RESOURCES, ignore_errors=True)
        os._exit(config.stash.get(_STATUS, 1))


@pytest.fixture
def link() -> Callable[[Path, Path], None]:
    """Makes the first path a symbolic link to the second; skips the test where the system refuses that."""

    def make(path: Path, target: Path) -> None:
        try:
            path.symlink_to(target, target.is_dir())
        except OSError as error:
            pytest.skip(f"symbolic links cannot be made here ({error.strerror}); on Windows they need Developer Mode")

    return make


@pytest.fixture(scope="session")
def head() -> Path:
    """The sample scan: 12,546 vertices in millimetres, Y up."""
    return EXAMPLES / "head.obj"


@pytest.fixture(scope="session")
def head_landmarks() -> Path:
    return EXAMPLES / "head.landmarks.json"


@pytest.fixture(scope="session")
def bare_face(head: Path, head_landmarks: Path) -> tuple:
    """The sample's face without the head around it, for tests that animate often: vertices, triangles, landmarks."""
    import numpy as np

    from freetalk_blender.core import landmarks
    from freetalk_blender.core.surface import scan_file

    vertices, triangles = scan_file.read(head)
    points = landmarks.read(head_landmarks).points
    near = np.linalg.norm(vertices - points[30], axis=1) < 130
    used, numbers = np.unique(triangles[near[triangles].all(1)], return_inverse=True)
    return vertices[used], numbers.reshape(-1, 3), points


@pytest.fixture(scope="session")
def sentence() -> Path:
    return EXAMPLES / "speech.flac"


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory, sentence: Path) -> Path:
    """0.8 s of silence, then the first 1.2 s of the sample sentence."""
    import numpy as np
    import soundfile

    samples, rate = soundfile.read(sentence, dtype="float32")
    voiced = int(np.argmax(np.abs(samples) > 0.05))
    path = tmp_path_factory.mktemp("sound") / "short.wav"
    clip = np.concatenate([np.zeros(rate * 4 // 5, np.float32), samples[voiced : voiced + rate * 6 // 5]])
    soundfile.write(path, clip, rate)
    return path
