"""How quickly the panel answers: a moved slider, and the preview of a frame, in Blender without a window.

    .venv/bin/python -m evaluation.live_preview [--vertices 50000] [--seconds 10]

Prints milliseconds by the clock and of work (all threads), and the share of what is allowed: 150 ms from slider to
shown frame, and a frame of a film at 30 a second; on a busy machine the work is what counts, and how the preview
compares with baked shape keys. The face is examples/head.obj, made finer; the speech is examples/speech.flac, repeated.
"""

import tempfile
import time
from pathlib import Path

import bpy
import numpy as np
import soundfile

import freetalk_blender
from export import command
from freetalk_blender.blender import compat, marks
from freetalk_blender.blender.formats import files
from freetalk_blender.blender.ui import live
from freetalk_blender.core.argument_types import whole_number

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
#: What is allowed (ms).
SLIDER, FRAME = 150.0, 1000.0 / 30


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--vertices", type=whole_number(1), default=50_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    freetalk_blender.register()
    with tempfile.TemporaryDirectory() as folder:
        copy = animated(arguments.vertices, arguments.seconds, Path(folder))
        size = f"{len(copy.data.vertices)} vertices, {arguments.seconds:g} s of speech"
        print(f"{size}, Blender {bpy.app.version_string}")
        told("slider to shown frame", sliders_moved(), SLIDER)
        told("a frame of the preview", frames_shown(copy, True), FRAME)
        told("a frame that was baked", frames_shown(copy, False), FRAME)
    freetalk_blender.unregister()


def animated(vertices: int, seconds: float, folder: Path) -> bpy.types.Object:
    """The talking copy of a head of about so many vertices."""
    scan = files.load(EXAMPLES / "head.obj")
    while len(scan.item.data.vertices) < vertices:
        applied(scan.item, "SUBSURF", subdivision_type="SIMPLE", levels=1)
    applied(scan.item, "DECIMATE", ratio=vertices / len(scan.item.data.vertices))
    samples, rate = soundfile.read(EXAMPLES / "speech.flac", dtype="float32")
    soundfile.write(folder / "speech.wav", np.resize(samples, round(seconds * rate)), rate)
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start = 30, 1
    scene.freetalk.face, scene.freetalk.sound_file = scan.item, str(folder / "speech.wav")
    scene.freetalk.landmarks = str(EXAMPLES / "head.landmarks.json")
    bpy.ops.freetalk.animate()
    return marks.all_copies()[0]


def applied(item: bpy.types.Object, kind: str, **options: object) -> None:
    """A modifier made a part of the mesh."""
    modifier = item.modifiers.new(kind, kind)
    for name, value in options.items():
        setattr(modifier, name, value)
    bpy.context.view_layer.objects.active = item
    bpy.ops.object.modifier_apply(modifier=modifier.name)


def sliders_moved() -> np.ndarray:
    """(N,2) ms, by the clock and of work, from a moved emotion or style slider to the frame that shows it."""
    scene = bpy.context.scene
    times = []
    for step in range(12):
        start = clocks()
        if step % 2:
            scene.freetalk.articulation = 1.0 + 0.05 * step
        else:
            scene.freetalk.happy = 0.05 * (step + 1)
        live.watch(bpy.context)
        bpy.context.view_layer.update()
        times.append(clocks() - start)
    return 1000 * np.array(times)


def clocks() -> np.ndarray:
    """(2,) seconds: the clock on the wall, and the work of all threads of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def frames_shown(copy: bpy.types.Object, preview: bool) -> np.ndarray:
    """(N,2) ms from one frame to the next, as Blender evaluates it, with the preview or with the baked shape keys."""
    scene = bpy.context.scene
    if not preview:
        live.put_away()
    assert (marks.PREVIEW in copy.data.shape_keys.key_blocks) == preview
    assert len(compat.fcurves(copy.data.shape_keys)) > 0
    times = []
    for frame in range(2, 102):
        start = clocks()
        scene.frame_set(frame)
        times.append(clocks() - start)
    return 1000 * np.array(times)


def told(what: str, times: np.ndarray, allowed: float) -> None:
    clock, work = np.median(times, 0)
    print(f"{what:24} {clock:8.1f} ms, {work:7.1f} ms of work: {work / allowed:5.2f} of {allowed:.0f} ms")


if __name__ == "__main__":
    command.run(main)
