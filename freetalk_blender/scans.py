"""A scan file as a command works on it: its own vertices, read and bound, and its landmarks."""

import argparse
import atexit
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .core import cancel, landmarks, movement, same_file
from .core import face as faces
from .core.compress import in_blocks
from .core.errors import FreeTalkError
from .core.face import Face
from .core.frame import transformed
from .core.landmarks import Landmarks
from .core.surface import scan_file
from .core.surface.mesh import Surfaces
from .progress import Progress

#: Frames a second where neither the command nor the scan says otherwise.
FPS = 30.0

if TYPE_CHECKING:
    from .blender.formats.files import Scan


def import_bpy() -> None:
    """Blender as a module, in settings of its own so that nothing the person installed interferes."""
    if sys.modules.get("bpy"):
        return
    if "BLENDER_USER_RESOURCES" not in os.environ:
        folder = tempfile.mkdtemp(prefix="freetalk-blender-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["BLENDER_USER_RESOURCES"] = folder
    try:
        with _uninterrupted():
            import bpy  # noqa: F401
    except ImportError as error:
        raise FreeTalkError(
            f"This command needs Blender as a module ({error}); pip install bpy, or run blender --command freetalk."
        ) from error


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """What would end the command waits: Blender drops exceptions while it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *cancel.SIGNALS)}
    heard = [number for number, handler in before.items() if callable(handler)]
    for number in heard:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
    if came:
        signal.raise_signal(came[0])


def outputs_of(arguments: argparse.Namespace) -> list[Path]:
    """The files that the command writes."""
    single = [getattr(arguments, name, None) for name in ("output", "preview")]
    return [*getattr(arguments, "outputs", []), *filter(None, single)]


def refuse_read(arguments: argparse.Namespace, read: Iterable[Path]) -> None:
    """FreeTalkError where the command would write over a file that it reads."""
    inputs = set(map(same_file.identity, read))
    for path in outputs_of(arguments):
        if same_file.identity(path) in inputs:
            raise FreeTalkError(f"{path} is read by this command; write to another file.")


def points_of(arguments: argparse.Namespace) -> np.ndarray | None:
    """(68,3) of the landmark file that the command names, in the scan file's coordinates."""
    return landmarks.read(arguments.landmarks).points if arguments.landmarks else None


@dataclass(frozen=True)
class OwnVertices:
    """A scan file's own vertices, bound; from_file (4,4): the file's coordinates -> those of the bound vertices."""

    face: Face
    from_file: np.ndarray

    def displacement(self, motion: np.ndarray, space: str = "canonical", turns: np.ndarray | None = None) -> np.ndarray:
        """(T,68,3) landmark motion and (T,5) turns -> (T,V,3) float32 in the file's axes and unit; "mesh" motion is in
        those too."""
        if space == "mesh":
            motion = movement.validated_motion(motion) @ self.from_file[:3, :3].T
        dense = movement.deform(self.face, motion, space, turns)
        if not np.array_equal(self.from_file[:3, :3], np.identity(3)):
            for block in in_blocks(dense):
                block[:] = block @ np.linalg.inv(self.from_file)[:3, :3].T
        return dense


def needs_blender(arguments: argparse.Namespace) -> bool:
    """OBJ, PLY and STL are read directly, unless one of their objects is asked for."""
    return arguments.scan.suffix.lower() not in scan_file.READERS or arguments.object is not None


def load(arguments: argparse.Namespace, points: np.ndarray | None, steps: Progress) -> "Scan":
    """The scan in Blender's scene, which is started for it; points (68,3) choose the face among meshes."""
    with steps.quiet("start Blender"):
        import_bpy()
        from .blender.formats import files
    with steps.quiet("read the scan"):
        fps = getattr(arguments, "fps", None) or FPS
        found = files.load(arguments.scan, points, arguments.device, arguments.object, fps)
        refuse_read(arguments, files.sources())
        tell(found.notes, steps)
        return found


def read_own(
    arguments: argparse.Namespace, points: np.ndarray | None, steps: Progress, loaded: "Scan | None" = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(vertices, triangles, from_file) of the scan file's own vertices: read directly, or as Blender lists them.

    points: as `load` takes them; loaded: the scan in Blender's scene, where it is there already.
    """
    if not needs_blender(arguments):
        with steps("read the scan"):
            vertices, triangles, offset = scan_file.read_near(arguments.scan)
            from_file = np.identity(4)
            from_file[:3, 3] = -offset
            return vertices, triangles, from_file
    found = loaded or load(arguments, points, steps)
    from .blender import meshes

    return *meshes.surface(found.item.data), found.file_to_object


def read_uvs(arguments: argparse.Namespace, loaded: "Scan | None") -> np.ndarray | None:
    """(F,3,2) texture coordinates of the corners of `read_own`'s triangles, None where they are not known."""
    if loaded is None:
        return scan_file.read_uvs(arguments.scan)
    from .blender import meshes

    return meshes.triangle_uvs(loaded.item.data)


def missing_pictures(arguments: argparse.Namespace, loaded: "Scan | None") -> list[Path]:
    """Files of the face's pictures that are not there."""
    if loaded is None:
        return scan_file.missing_pictures(arguments.scan)
    from .blender.formats import pictures

    return pictures.missing([loaded.item])


class Binder:
    """Binds scans as the command asks for, and tells their notes; the scan that was bound last at once, also by another
    command where both have been given the same dictionary as arguments.kept."""

    def __init__(self, arguments: argparse.Namespace, steps: Progress) -> None:
        self._arguments, self._steps = arguments, steps
        self._kept: dict[str, tuple[tuple[object, ...], Face]] = getattr(arguments, "kept", {})
        self._told: Face | None = None

    def bind(
        self,
        vertices: np.ndarray,
        triangles: np.ndarray,
        marks: Landmarks | np.ndarray | None,
        beside: Surfaces = (),
    ) -> Face:
        """marks: landmarks, None to find them, and beside: other objects' surfaces, as `prepare` takes them."""
        arguments = self._arguments
        options = (arguments.keep_mouth, arguments.inner_mouth, arguments.eyeballs, arguments.device)
        points = (marks.points, marks.vertices, marks.confidence) if isinstance(marks, Landmarks) else (marks,)
        scan = (options, len(points), *points, vertices, triangles, *(array for one in beside for array in one))
        last, face = self._kept.get("face", ((), None))
        if face is None or len(scan) != len(last) or not all(map(_same, scan, last)):
            face = self._prepared(vertices, triangles, marks, beside)
            self._kept["face"] = scan, face
        if face is not self._told:
            tell(face.notes, self._steps)
            self._told = face
        return face

    def _prepared(
        self, vertices: np.ndarray, triangles: np.ndarray, marks: Landmarks | np.ndarray | None, beside: Surfaces
    ) -> Face:
        arguments = self._arguments
        return faces.prepare(
            vertices,
            triangles,
            marks,
            beside=beside,
            open_mouth=not arguments.keep_mouth,
            inner_mouth=arguments.inner_mouth,
            eyeballs=arguments.eyeballs,
            device=arguments.device,
            step=self._steps.quiet,
        )


def _same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one is other or np.array_equal(one, other)
    return type(one) is type(other) and bool(one == other)


def own_vertices(
    arguments: argparse.Namespace,
    points: np.ndarray | None,
    binder: Binder,
    steps: Progress,
    loaded: "Scan | None" = None,
) -> OwnVertices:
    """Bind the scan file's own vertices; other arguments as `read_own` takes them."""
    vertices, triangles, from_file = read_own(arguments, points, steps, loaded)
    local = None if points is None else transformed(from_file, points)
    return OwnVertices(binder.bind(vertices, triangles, local), from_file)


def tell(notes: tuple[str, ...], steps: Progress) -> None:
    """Say what is to be known of a scan or a sound."""
    for note in notes:
        steps.say(f"freetalk: {note}")
