"""The talking face as a film with sound and as a contact sheet, seen from the front."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import bpy
import numpy as np

from ..core import atomic
from ..core.errors import FreeTalkError
from ..core.surface import raster
from . import compat, log, meshes
from .scene import world_landmarks
from .sound import scene_fps
from .soundtrack import on_time
from .studio import head_view, lips_view, studio

FILM_SIZE = 640
#: Side of a film where there is no OpenGL and the processor has to trace rays for it.
TRACED_SIZE = 360
SHEET_SIZE = 320
#: Frames of a contact sheet and how many stand in a row; under each row of faces stands a row of lips.
SHEET_FRAMES, SHEET_COLUMNS = 16, 8


def film(path: Path, item: bpy.types.Object, report: Callable[[float], None]) -> None:
    """Write the scene's frame range as an H.264 mp4 with the sequencer's sound, seen from before a talking copy.

    report(share) is called after each frame. Raises FreeTalkError where Blender cannot.
    """
    landmarks = world_landmarks(item)
    with studio(item, landmarks) as scene, on_time(scene), atomic.output(path) as temporary:
        total = scene.frame_end - scene.frame_start + 1
        scene.camera.matrix_world = head_view(landmarks)
        _size(scene, FILM_SIZE if scene.render.engine == "BLENDER_WORKBENCH" else TRACED_SIZE)
        scene.display.render_aa = "FXAA"
        compat.use_video(scene.render.image_settings)
        video = scene.render.ffmpeg
        video.format, video.codec, video.constant_rate_factor = "MPEG4", "H264", "HIGH"
        video.use_autosplit, video.use_lossless_output, video.audio_volume = False, False, 1.0
        video.audio_codec = "AAC" if compat.can_make_sound() else "NONE"
        scene.render.use_file_extension = False
        scene.render.filepath = compat.output_path(temporary)
        with _interruptible(scene), _each_frame(lambda frame: report((frame - scene.frame_start + 1) / total)):
            _render(scene, animation=True)
        if not temporary.stat().st_size:
            raise FreeTalkError(f"{path} could not be encoded; this Blender may be built without FFmpeg.")


def contact_sheet(path: Path, item: bpy.types.Object, report: Callable[[float], None]) -> None:
    """Write a PNG of frames over the scene's range, with their times, and the lips of each from close by."""
    landmarks = world_landmarks(item)
    with studio(item, landmarks) as scene, TemporaryDirectory() as folder:
        frames = np.unique(np.linspace(scene.frame_start, scene.frame_end, SHEET_FRAMES).round().astype(int))
        compat.use_png(scene.render.image_settings)
        # Twice as large and halved: as smooth as many samples, each of which would cast all shadows again.
        scale = 2 if scene.render.engine == "BLENDER_WORKBENCH" else 1
        _size(scene, scale * SHEET_SIZE, stamp=True)
        scene.display.render_aa = "FXAA"
        rows: list[list[np.ndarray]] = []
        for view in (head_view(landmarks), lips_view(landmarks)):
            scene.camera.matrix_world = view
            rows.append([])
            for frame in frames:
                still = _still(scene, Path(folder) / "still.png", int(frame))
                rows[-1].append(still.reshape(SHEET_SIZE, scale, SHEET_SIZE, scale, 4).mean((1, 3)))
                report(sum(len(row) for row in rows) / (2 * len(frames)))
        sheet = _grid(rows, min(SHEET_COLUMNS, len(frames)))
    with atomic.output(path) as temporary:
        raster.write_png(temporary, (255 * sheet[::-1, :, :3] + 0.5).astype(np.uint8))


def _grid(rows: list[list[np.ndarray]], columns: int) -> np.ndarray:
    """Pictures (H,W,4), the row of faces over the row of lips, wrapped after `columns` of them."""
    blank = np.zeros_like(rows[0][0])
    blocks = []
    for start in range(0, len(rows[0]), columns):
        for row in rows:
            part = row[start : start + columns]
            blocks.append(np.concatenate(part + [blank] * (columns - len(part)), 1))
    return np.concatenate(blocks[::-1])  # Blender's pictures begin at the bottom


def _still(scene: bpy.types.Scene, path: Path, frame: int) -> np.ndarray:
    scene.frame_set(frame)
    scene.render.stamp_note_text = f"{(frame - scene.frame_start) / scene_fps(scene):.2f} s"
    scene.render.filepath = compat.output_path(path)
    _render(scene, write_still=True)
    image = bpy.data.images.load(str(path))
    try:
        return meshes.pixels(image).reshape(image.size[1], image.size[0], 4)
    finally:
        bpy.data.images.remove(image)


def _render(scene: bpy.types.Scene, **options) -> None:
    """By another context than this scene's Blender draws every frame as the first."""
    try:
        with bpy.context.temp_override(scene=scene):
            answer = bpy.ops.render.render(**options)
    except RuntimeError as error:
        raise FreeTalkError(f"Blender could not render ({log.reported(error)}).") from error
    if answer != {"FINISHED"}:
        raise FreeTalkError("Blender could not render (it stopped before the last frame).")


@contextmanager
def _interruptible(scene: bpy.types.Scene) -> Iterator[None]:
    """Ctrl C ends an animation that is being rendered: Blender looks for the scene's camera before every frame."""
    pressed = False

    def stop(*_: object) -> None:
        nonlocal pressed
        pressed, scene.camera = True, None

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    except FreeTalkError:
        if not pressed:
            raise
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


@contextmanager
def _each_frame(call: Callable[[int], None]) -> Iterator[None]:
    """Call after every rendered frame; a handler left behind would keep Blender from quitting."""

    def handler(scene: bpy.types.Scene, *_: object) -> None:
        call(scene.frame_current)

    bpy.app.handlers.render_write.append(handler)
    try:
        yield
    finally:
        bpy.app.handlers.render_write.remove(handler)


def _size(scene: bpy.types.Scene, pixels: int, stamp: bool = False) -> None:
    render = scene.render
    render.resolution_x = render.resolution_y = pixels
    for prop in render.bl_rna.properties:
        if prop.identifier.startswith("use_stamp_"):
            setattr(render, prop.identifier, prop.identifier == "use_stamp_note")
    render.use_stamp = stamp
    render.stamp_font_size = pixels // 16
    render.stamp_background = (0, 0, 0, 0)
