"""How soon ESC ends Animate on a heavy scan, in a real Blender's window, whenever it is pressed.

    .venv/bin/python -m evaluation.stopping [SCAN] [--vertices 600000] [--moments 20] [--writing 5 --answer FILE]

The scan is subdivided until it has so many vertices. Animate is begun as often as there are moments, and ESC pressed
after that share of a whole run's time. Then, as that is when Blender itself works, ESC is pressed after shares of the
time in which the answer is written into the scene; the answer is worked out here, without a window, and kept in FILE,
where it is taken from if it is there (it must be the same scan's, of as many vertices). For each: where the work was;
the seconds by the clock from the key to the end of the operator, and to the window's next answer; the processor seconds
that Blender used from the key to the end, which count on a busy machine (they hold what the work in the background used
meanwhile); how long that work went on, and whether the scene is as it was before. At the end, the longest step of a
writing that nobody stopped, in processor seconds of the main thread. The Blender is the one of tests/ui.
"""

import os
import pickle
import shutil
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from export import command
from freetalk_blender.blender import sound
from freetalk_blender.blender.ui.request import FaceInput, Request, Voice
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.errors import FreeTalkError
from freetalk_blender.core.surface import mesh, scan_file
from freetalk_blender.core.voice.style import AS_PERFORMED
from tools import blender_ui, extension, first_clip
from tools.blender_ui import Ui
from tools.steps import BUILD

_SHARE = BUILD / "stopping"
_LIMIT = 1.0
_SCENE = """
import pickle
import numpy as np
package = "bl_ext.user_default.freetalk.blender"
placed, session, cleanup, request = (
    importlib.import_module(f"{package}.{name}") for name in ("placed", "session", "cleanup", "ui.request"))

def bring(folder):
    bpy.data.batch_remove(list(bpy.data.objects))
    arrays = np.load(folder + "/scan.npz")
    vertices, triangles = arrays["vertices"], arrays["triangles"]
    block = bpy.data.meshes.new("head")
    block.vertices.add(len(vertices))
    block.vertices.foreach_set("co", vertices.ravel())
    block.loops.add(triangles.size)
    block.loops.foreach_set("vertex_index", triangles.ravel())
    block.polygons.add(len(triangles))
    block.polygons.foreach_set("loop_start", np.arange(0, triangles.size, 3, dtype=np.int32))
    block.update(calc_edges=True)
    head = bpy.data.objects.new("head", block)
    head.rotation_euler[0] = np.pi / 2
    bpy.context.scene.collection.objects.link(head)
    begin()

def begin():
    # the head alone, as if FreeTalk had never seen it
    head = bpy.data.objects["head"]
    cleanup.remove(bpy.context, head)
    session.clear()
    placed.forget(head)
    bpy.context.window.view_layer.objects.active = head
    head.select_set(True)
    scene = bpy.context.scene
    scene.freetalk.face, scene.freetalk.sound_file = head, sound
    bpy.ops.ed.undo_push(message="begin")

def start():
    window, place, part = next(_places("VIEW_3D", "WINDOW"))
    with bpy.context.temp_override(window=window, area=place, region=part):
        bpy.ops.freetalk.animate("INVOKE_DEFAULT")

class Here(pickle.Unpickler):
    # FreeTalk's classes are an extension's in Blender
    def find_class(self, module, name):
        return super().find_class(module.replace("freetalk_blender", "bl_ext.user_default.freetalk", 1), name)

really_answered, really_run = job.JobOperator._answered, request.Request.run
written, longest, answers = [0.0], [0.0], []

def _answered(self, context):
    written[0], longest[0] = time.perf_counter(), 0.0
    steps = really_answered(self, context)
    while True:
        at = time.thread_time()
        try:
            next(steps)
        except StopIteration:
            return
        finally:
            longest[0] = max(longest[0], time.thread_time() - at)
        try:
            yield
        except GeneratorExit:
            steps.close()
            raise

def _run(self, step):
    return answers[0] if answers else really_run(self, step)

job.JobOperator._answered, request.Request.run = _answered, _run

def know(file):
    with open(file, "rb") as kept:
        answers[:] = [Here(kept).load()]

def listing():
    kinds = ("objects", "meshes", "shape_keys", "materials", "actions", "sounds", "collections")
    scene, view = bpy.context.scene, bpy.context.window.view_layer
    return repr([[sorted(getattr(bpy.data, kind).keys()) for kind in kinds], scene.frame_start, scene.frame_end,
                 [(item.name, item.hide_get(view_layer=view), item.select_get(view_layer=view), sorted(item.keys()))
                  for item in view.objects], view.objects.active.name, sorted(scene.keys())])
"""


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("scan", nargs="?", type=Path, default=first_clip.SCAN)
    parser.add_argument("--vertices", type=whole_number(1), default=600_000)
    parser.add_argument("--moments", type=whole_number(0), default=20)
    parser.add_argument("--writing", type=whole_number(0), default=0)
    parser.add_argument("--answer", type=Path, default=BUILD / "stopping.pickle")
    arguments = parser.parse_args()
    with blender_ui.blender(_SHARE) as ui:
        first_clip.install(ui, extension.build(Path(sys.executable), first_clip.target(ui)))
        first_clip.open_tab(ui)
        count = bring(ui, arguments.scan, arguments.vertices)
        process, slow = process_of(ui), []
        if arguments.moments:
            whole, _ = whole_run(ui)
            heading(f"{arguments.scan.name}, {count:,} vertices: Animate takes {whole:.1f} s")
            slow += [stopped(ui, process, whole * moment) for moment in moments(arguments.moments)]
        if arguments.writing:
            know(ui, arguments.answer)
            _, writing = whole_run(ui)
            longest = ui.value("longest[0]")
            heading(f"{arguments.scan.name}, {count:,} vertices: writing takes {writing:.1f} s")
            slow += [stopped(ui, process, writing * moment, "written[0]") for moment in moments(arguments.writing)]
            print(f"longest step of writing: {longest:.2f} s of the processor")
        print(f"slowest: {max(slow):.2f} s; {(np.array(slow) < _LIMIT).sum()} of {len(slow)} within {_LIMIT:g} s")


def heading(told: str) -> None:
    print(f"{told}, {os.getloadavg()[0]:.1f} busy")
    print("| ESC after | in the middle of | ended | answers | processor | went on | scene |")
    print("|---|---|---|---|---|---|---|", flush=True)


def know(ui: Ui, file: Path) -> None:
    """Let Blender have the answer for the scan in its scene at once; it is worked out here where the file is not."""
    share = ui.screen.share
    if not file.exists():
        arrays = np.load(share / "scan.npz")
        settings = ("freetalk.inner_mouth", "freetalk.eyeballs", "freetalk.tolerance", "render.fps")
        inner_mouth, eyeballs, tolerance, fps = (ui.value(f"bpy.context.scene.{name}") for name in settings)
        scan = FaceInput(
            arrays["vertices"],
            arrays["triangles"],
            np.identity(3),
            landmarks=None,
            parts=(),
            near=None,
            open_mouth=True,
            inner_mouth=inner_mouth,
            eyeballs=eyeballs,
            device="auto",
        )
        voice = Voice(sound.from_file(str(first_clip.SPEECH), 1.0), fps, np.zeros(8), 0, AS_PERFORMED, 1.0, "auto")
        answer = Request(scan, voice, tolerance, "file").run(lambda _name: nullcontext())
        file.write_bytes(pickle.dumps(answer))
    shutil.copy2(file, share / "answer.pickle")
    ui.ask(f"know({str(ui.screen.inside(share) / 'answer.pickle')!r})")


def moments(count: int) -> list[float]:
    """So many shares of a time, evenly."""
    return ((np.arange(count) + 0.5) / count).tolist()


def bring(ui: Ui, scan: Path, count: int) -> int:
    """The scan in the scene, alone, subdivided to about so many vertices; how many it has."""
    cleaned = mesh.clean(*scan_file.read(scan))
    while 2 * len(cleaned.vertices) < count:
        cleaned = mesh.subdivided(cleaned)
    share = ui.screen.share
    vertices = cleaned.vertices.astype(np.float32)
    np.savez(share / "scan.npz", vertices=vertices, triangles=cleaned.triangles.astype(np.int32))
    (share / first_clip.SPEECH.name).write_bytes(first_clip.SPEECH.read_bytes())
    ui.ask(first_clip.WORK)
    ui.ask(_SCENE)
    inside = ui.screen.inside(share)
    ui.ask(f"sound = {str(inside / first_clip.SPEECH.name)!r}; bring({str(inside)!r})")
    first_clip.look_at_face(ui)
    ui.settle(10)
    return len(vertices)


def whole_run(ui: Ui) -> tuple[float, float]:
    """Seconds that Animate takes when nobody stops it, and those of them in which its answer is written."""
    ui.value("begin()")
    ui.settle(10)
    before = ui.value("ended()")
    began = time.perf_counter()
    ui.value("start()")
    ui.wait(f"ended() > {before}", 3600)
    ended = ui.value("job.end[0]")
    return ended - began, ended - ui.value("written[0]")


def process_of(ui: Ui) -> int:
    """Blender's number on this system; in its chroot it has another."""
    inside = ui.value("__import__('os').getpid()")
    for status in Path("/proc").glob("[0-9]*/status"):
        words = status.read_text().split("NSpid:")[-1].splitlines()[0].split()
        if int(words[-1]) == inside and "blender" in (status.parent / "comm").read_text():
            return int(words[0])
    raise FreeTalkError("Blender is not among the processes of /proc.")


def stopped(ui: Ui, process: int, after: float, since: str = "") -> float:
    """Begin, press ESC after so many seconds, print what happened; the seconds until the operator had ended.

    since: what in Blender holds the time from which the seconds count; else they count from the beginning.
    """
    ui.value("begin()")
    ui.settle(10)
    before, ends = ui.value("listing()"), ui.value("ended()")
    began, where = time.perf_counter(), "writing + " if since else ""
    ui.value("start()")
    if since:
        ui.wait(f"{since} > {began}", 3600)
        began = ui.value(since)
    time.sleep(max(0.0, began + after - time.perf_counter()))
    used, pressed = processor_seconds(process), time.perf_counter()
    ui.key("Escape")
    ui.wait(f"ended() > {ends}", 600)
    answered = time.perf_counter() - pressed
    ended, processor, stage = ui.value("job.end")
    if ended < pressed:
        print(f"| {where}{after:.1f} s | - | it was done before | | | | |", flush=True)
        return 0.0
    went_on = ui.wait("not working()", 600)
    same = ui.value("listing()") == before
    seconds = f"{ended - pressed:.2f} s | {answered:.2f} s | {processor - used:.2f} s | {went_on:.1f} s"
    print(f"| {where}{after:.1f} s | {stage} | {seconds} | {'as it was' if same else 'CHANGED'} |", flush=True)
    return ended - pressed


def processor_seconds(process: int) -> float:
    """What a process has used so far, all threads; read from outside, for Blender may be too busy to be asked."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    command.run(main)
