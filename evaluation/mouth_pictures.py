"""A mouth before and after the cut, closed, open, wide and pursed, from four sides, as one picture; or speaking.

    python -m evaluation.mouth_pictures SCAN LANDMARKS.json -o docs/images/mouth_NAME.png
    python -m evaluation.mouth_pictures SCAN LANDMARKS.json --sound WORDS.wav --at 0.4 0.5 0.6 -o PICTURE.png

Runs where bpy is. Rows: the jaw opened with the mouth left as it is; then made ready: at rest, ajar, wide open, "oo".
Columns: front, below, three quarters, above. The average face's landmarks are moved by formula (the jaw turns about the
ears, the lips draw together); the rest is what `animate` does.

With a sound: a column for each moment (seconds; --at, or --frames of them spread over it), from the front, below, three
quarters, and the lips close to.
"""

import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from export import command
from freetalk_blender.blender import meshes, steps
from freetalk_blender.blender import mouth as cut
from freetalk_blender.blender.formats import files
from freetalk_blender.blender.studio import CLAY, SKIN
from freetalk_blender.core import face, frame, landmarks, movement
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.frame import Similarity, transformed
from freetalk_blender.core.mouth.opening import INNER_MOUTHS
from freetalk_blender.core.voice import audio, performance
from freetalk_blender.core.voice.speech import FEATURE_RATE

VIEWS = ((0.0, 0.05, 1.0), (0.0, -0.6, 0.8), (0.75, 0.05, 0.65), (0.0, 0.55, 0.8))
#: Pose: degrees of the jaw, share of lip rounding. The first is shown on the mesh as the scanner left it.
POSES = ((20, 0.0), (0, 0.0), (6, 0.0), (20, 0.0), (4, 1.0))
#: How much of the jaw's turn each landmark takes.
JAW = {4: 0.35, 5: 0.6, 6: 0.85, 7: 1.0, 8: 1.0, 9: 1.0, 10: 0.85, 11: 0.6, 12: 0.35, 3: 0.15, 13: 0.15}
LIPS = {55: 0.8, 56: 0.97, 57: 1.0, 58: 0.97, 59: 0.8, 65: 0.95, 66: 1.0, 67: 0.95, 48: 0.4, 54: 0.4, 60: 0.4, 64: 0.4}
#: Part of a view (share) that shows the lips close to.
CLOSE = 0.45


def motion(points: np.ndarray) -> np.ndarray:
    """(T,68,3) the poses for canonical landmarks (68,3)."""
    ears = np.array([0, *points[[2, 14], 1:].mean(0)])
    weight = np.zeros((68, 1))
    for number, share in (JAW | LIPS).items():
        weight[number] = share
    lips = np.zeros((68, 3))
    lips[48:] = (points[48:].mean(0) - points[48:]) * [0.35, 0.1, 0] + [0, 0, 0.055]
    answer = []
    for degrees, rounding in POSES:
        s, c = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
        turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        answer.append(((points - ears) @ turn.T + ears - points) * weight + rounding * lips)
    return np.array(answer, np.float32)


def studio(face: Similarity, size: int) -> bpy.types.Object:
    """A flat-lit Workbench scene and its camera."""
    scene = bpy.context.scene
    scene.render.engine = "BLENDER_WORKBENCH"
    shading = scene.display.shading
    shading.light, shading.color_type, shading.show_specular_highlight = "STUDIO", "MATERIAL", False
    scene.view_settings.view_transform, scene.view_settings.exposure = "Standard", CLAY
    scene.display.render_aa = "8"
    scene.render.resolution_x = scene.render.resolution_y = size
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.type = "ORTHO"
    camera.data.clip_start, camera.data.clip_end = 0.01 * face.scale, 50 * face.scale
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera


def shot(
    camera: bpy.types.Object,
    item: bpy.types.Object,
    face: Similarity,
    centre: np.ndarray,
    view: tuple,
    share: float = 1.0,
) -> np.ndarray:
    """(size,size,4) pixels, first row at the bottom; centre (3,) canonical; share: how much of the view's width."""
    camera.data.ortho_scale = 0.95 * face.scale * share
    z = np.array(view) / np.linalg.norm(view)
    x = np.cross([0, 1, 0], z)
    x /= np.linalg.norm(x)
    pose = np.eye(4)
    pose[:3, :3] = face.rotation @ np.stack([x, np.cross(z, x), z], 1)
    pose[:3, 3] = face.to_mesh(centre + 4 * z)
    world = meshes.world(item) @ pose
    world[:3, :3] /= np.linalg.norm(world[:3, :3], axis=0)
    camera.matrix_world = Matrix(world.tolist())
    with tempfile.TemporaryDirectory() as folder:
        bpy.context.scene.render.filepath = str(Path(folder) / "shot.png")
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(bpy.context.scene.render.filepath)
        pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
    side = round((len(pixels) // 4) ** 0.5)
    return pixels.reshape(side, side, 4)


def painted(item: bpy.types.Object) -> None:
    """One colour of skin on all of an object."""
    paint = bpy.data.materials.new("skin")
    paint.diffuse_color = (*SKIN, 1.0)
    item.data.materials.clear()
    item.data.materials.append(paint)


def placed(item: bpy.types.Object, places: np.ndarray) -> None:
    """The object's vertices moved to places (V,3)."""
    item.data.attributes["position"].data.foreach_set("vector", places.astype(np.float32).ravel())
    item.data.update()


def picture(item: bpy.types.Object, points: np.ndarray, size: int, inner: str) -> np.ndarray:
    """(rows,columns,4) pixels of all poses and views; points (68,3) in the object's own axes."""
    vertices, triangles = meshes.vertices(item.data), meshes.triangles(item.data)
    take = motion(frame.mean_landmarks())
    before = movement.deform(face.prepare(vertices, triangles, points, open_mouth=False), take)
    bound = face.prepare(vertices, triangles, points, inner_mouth=inner)
    keys = movement.shape_keys(bound, take)
    after = np.tensordot(keys.weights, keys.shapes, 1)
    centre = bound.frame.to_canonical(points)[48:].mean(0)
    painted(item)
    camera = studio(bound.frame, size)

    def row(places: np.ndarray) -> np.ndarray:
        placed(item, places)
        return np.concatenate([shot(camera, item, bound.frame, centre, view) for view in VIEWS], 1)

    rows = [row(vertices + before[0])]
    row(vertices)
    if bound.opened is not None:
        steps.run(cut.applying(item, bound.opened))
        vertices = bound.opened.vertices
    rows += [row(vertices + pose) for pose in after[1:]]
    return np.concatenate(rows[::-1], 0)


def spoken(
    item: bpy.types.Object, points: np.ndarray, size: int, inner: str, sound: Path, at: list[float], frames: int
) -> np.ndarray:
    """(rows,columns,4) pixels of moments of speech, `at` seconds or `frames` of them; other arguments as `picture`."""
    samples, rate = audio.load(sound)
    moments = np.array(at) if at else np.linspace(0, len(samples) / rate, frames + 2)[1:-1]
    take = performance.perform(samples, rate, fps=FEATURE_RATE)
    bound = face.prepare(meshes.vertices(item.data), meshes.triangles(item.data), points, inner_mouth=inner)
    keys = movement.shape_keys(bound, take.displacement, tongue=take.tongue)
    shown = np.clip(np.rint(moments * FEATURE_RATE).astype(int), 0, len(take.tongue) - 1)
    moved = np.tensordot(keys.weights[shown], keys.shapes, 1)
    painted(item)
    vertices = meshes.vertices(item.data)
    if bound.opened is not None:
        steps.run(cut.applying(item, bound.opened))
        vertices = bound.opened.vertices
    camera = studio(bound.frame, size)
    centre = bound.frame.to_canonical(points)[48:].mean(0)
    columns = []
    for pose in moved:
        placed(item, vertices + pose)
        column = [shot(camera, item, bound.frame, centre, view) for view in VIEWS[:3]]
        column.append(shot(camera, item, bound.frame, centre, VIEWS[0], CLOSE))
        columns.append(np.concatenate(column[::-1], 0))
    return np.concatenate(columns, 1)


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("landmarks", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--size", type=whole_number(1), default=200, help="pixels of one view")
    parser.add_argument("--inner-mouth", choices=INNER_MOUTHS, default="teeth")
    parser.add_argument("--sound", type=Path, help="speech; without it the mouth is posed by formula")
    parser.add_argument("--at", type=float, nargs="*", default=[], help="seconds that are shown")
    parser.add_argument("--frames", type=whole_number(1), default=12, help="how many moments are shown without --at")
    arguments = parser.parse_args()
    given = landmarks.read(arguments.landmarks).points
    scan = files.load(arguments.scan, given)
    points = transformed(scan.file_to_object, given)
    if arguments.sound is None:
        pixels = picture(scan.item, points, arguments.size, arguments.inner_mouth)
    else:
        speech = arguments.sound, arguments.at, arguments.frames
        pixels = spoken(scan.item, points, arguments.size, arguments.inner_mouth, *speech)
    image = bpy.data.images.new("picture", pixels.shape[1], pixels.shape[0], alpha=False)
    image.pixels.foreach_set(pixels.ravel())
    image.filepath_raw = str(arguments.output.resolve())
    image.file_format = "JPEG" if arguments.output.suffix == ".jpg" else "PNG"
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    image.save()


if __name__ == "__main__":
    command.run(main)
