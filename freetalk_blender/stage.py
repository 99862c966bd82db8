"""A scan file in Blender's scene, as `animate` works on it: bound with what goes with its face, made to talk, written.

Needs bpy: imported by the commands that have started Blender (`scans.load`).
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from .blender import hanging, heard, lent, mouth, parts, render, scene, sound, telling
from .blender.formats import files, saving
from .blender.lent import Lent
from .blender.marks import copy_of
from .blender.steps import run
from .core import key_sets, wording
from .core.compress import ShapeKeys
from .core.detection import detector
from .core.errors import FreeTalkError
from .core.face import Face
from .core.frame import transformed
from .core.landmarks import Landmarks
from .core.surface import mesh
from .core.voice.performance import Performance
from .progress import Progress
from .scans import Binder, tell


@dataclass(frozen=True)
class Actor:
    """The scan's face, bound; joined: names of other objects that are of it; own: shape keys that it has itself."""

    face: Face
    joined: tuple[str, ...]
    own: Lent


class Stage:
    """A scan that was loaded into the scene, and what the command wants of it."""

    def __init__(self, scan: files.Scan, arguments: argparse.Namespace, steps: Progress) -> None:
        self.scan, self._arguments, self._steps = scan, arguments, steps
        self._is_scene = arguments.scan.suffix.lower() == ".blend"

    @property
    def fps(self) -> float | None:
        """Frames a second of the scan's own scene or animation; None where the file holds neither."""
        own = self._is_scene or files.last_key() is not None
        return sound.scene_fps(bpy.context.scene) if own else None

    def hear(self, path: Path) -> tuple[np.ndarray, int]:
        """The samples of a sound, mono, and their rate; also of what Blender alone can read."""
        return sound.load(path, self._arguments.channel)

    def bind(self, points: np.ndarray | None, turning: bool, binder: Binder) -> Actor:
        """The face and the objects that go with it; points (68,3): landmarks in the file's coordinates, None to find
        them; turning: head or eyes shall turn."""
        arguments, item = self._arguments, self.scan.item
        with self._steps.quiet("read the face"):
            local = None if points is None else transformed(self.scan.file_to_object, points)
            vertices, triangles, local = scene.read_face(item, local)
            if not arguments.keep_mouth:
                mouth.check(item)
            around = parts.around(item)
            own = lent.read(item, arguments.keys == key_sets.ARKIT)
            if own.of_arkit:
                tell((f"{own.of_arkit} of ARKit's shape keys are the face's own.",), self._steps)
        marks: Landmarks | np.ndarray | None = local
        if around:  # which of them go with the face is told from where it is
            marks, local = detector.located(local, vertices, triangles, arguments.device, self._steps)
        mine, beside = parts.told_apart(vertices, triangles, local, around, turning)
        joined = tuple(part.name for part in mine)
        if joined:
            tell((f"These objects go with the face: {wording.named(joined)}.",), self._steps)
            vertices, triangles = mesh.together([(vertices, triangles), *(part.surface for part in mine)])
        return Actor(binder.bind(vertices, triangles, marks, [part.surface for part in beside]), joined, own)

    def bake(self, actor: Actor, keys: ShapeKeys, take: Performance) -> bpy.types.Object:
        """The talking copy, with its sound, in a scene that plays to the end of the take and of what else is animated;
        a .blend goes on as long as it did. Where it goes on, the face comes to rest."""
        current, arguments, item = bpy.context.scene, self._arguments, self.scan.item
        with self._steps.quiet("bake"):
            if arguments.scan.suffix.lower() in files.UNORIENTED:
                files.upright(self.scan, scene.up(item, actor.face))
            self.set_rate(take.fps)
            if not self._is_scene:
                current.frame_start, current.frame_end = 0, math.ceil(files.last_key() or 0)
            start = current.frame_start if arguments.start is None else arguments.start
            end = start + len(take.displacement) - 1
            last = current.bl_rna.properties["frame_end"].hard_max
            if end > last:  # Blender would put all later keys there
                raise FreeTalkError(
                    f"The speech would end at frame {end}, and Blender has none after {last}; begin it earlier "
                    "(--start), or take fewer frames a second (--fps)."
                )
            ease = scene.EASE if self._is_scene or current.frame_end > end else 0.0
            scene.extend_range(start, end + round(ease * take.fps))
            bound = hanging.bound_to(copy_of(item))
            said, joined, own = f"speech of {item.name}", actor.joined, actor.own.names
            copy = run(scene.talking(item, actor.face, keys, start, source=said, joined=joined, lent=own, ease=ease))
            bpy.context.view_layer.update()
            tell(hanging.loosened(bound, copy) + telling.notes(copy), self._steps)
            heard.let_speak(current, arguments.audio, start, said)
        return copy

    def set_rate(self, fps: float) -> None:
        """The scene's frames a second; what its animation comes to is told."""
        own = sound.scene_fps(bpy.context.scene)
        if files.last_key() is not None and not np.isclose(own, fps):
            told = f"What is animated in {self._arguments.scan.name} was made at {own:g} frames a second, and plays at"
            tell((f"{told} {fps:g} now, at another speed; leave --fps out to keep it.",), self._steps)
        sound.set_scene_fps(bpy.context.scene, fps)


def write(path: Path, copy: bpy.types.Object, share: Callable[[float], None]) -> None:
    """The scene, or pictures of a talking copy in it, in the format of the suffix; share: told how much is done."""
    if path.suffix.lower() in saving.EXPORTS:
        saving.save(path)
    elif path.suffix.lower() == ".mp4":
        render.film(path, copy, share)
    else:
        render.contact_sheet(path, copy, share)
