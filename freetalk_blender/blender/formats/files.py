"""Scan files into Blender, with the exact map between a file's coordinates and the world.

Landmarks and displacement speak the file's own coordinates. OBJ, PLY, STL and USD are read as they stand, and `upright`
turns what does not say which way is up by the face itself; glTF, FBX and .blend keep Blender's own reading.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import bpy
import numpy as np
from bpy_extras.io_utils import axis_conversion
from mathutils import Matrix

from ...core import wording
from ...core.detection import detector
from ...core.errors import MeshError
from ...core.frame import transformed
from .. import compat, linked, log, meshes, seen, sound
from ..marks import copy_of, original_of
from . import clips, gltf, pictures, poses, usd_motion

#: +Y up to +Z up, a quarter turn about +X: how glTF stands in Blender.
Y_UP = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], float)
#: How Blender's importer says that a glTF needs an extension that it does not know.
_MISSING_EXTENSION = re.compile(r"Extension (\w+) is not available")
_AS_IT_STANDS = {"forward_axis": "Y", "up_axis": "Z"}


@dataclass
class Scan:
    """A mesh object from a file; file_to_world (4,4) takes the file's coordinates to the scene's; notes: sentences that
    the person should read."""

    item: bpy.types.Object
    file_to_world: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def file_to_object(self) -> np.ndarray:
        """(4,4) the file's coordinates -> the object's own axes."""
        return np.linalg.inv(meshes.world(self.item)) @ self.file_to_world


def empty_scene() -> None:
    """A file with nothing in it; preferences and installed extensions stay."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


def load(
    path: Path,
    landmarks: np.ndarray | None = None,
    device: str = "auto",
    name: str | None = None,
    fps: float | None = None,
) -> Scan:
    """Read a scan file into an empty scene (a .blend is opened) and choose the face among its meshes.

    name: of the object that is the face; without one, of the meshes that are seen the one where the landmarks (68,3),
    in the file's coordinates, are; without these, the largest mesh with a face on it, as networks on that device see
    it, a hidden one where none that is seen has any; fps: as `read` takes it. A hidden face is shown. Raises MeshError
    where the file is missing, is no scan, or holds no mesh, or none of that name.
    """
    file_to_world = read(path, fps)
    item, notes = _face(path, file_to_world, landmarks, device) if name is None else (_named(path, name), ())
    if not _is_seen(item):
        seen.reveal(item)
        notes += (f"{item.name} is hidden in {path.name}; it is shown now.",)
    if path.suffix.lower() != ".blend":
        meshes.smooth(item.data)
        notes += clips.left_out(path) + usd_motion.left_out(path)
    return Scan(item, file_to_world, notes)


def read(path: Path, fps: float | None = None) -> np.ndarray:
    """Read a scan file into an empty scene, or open a .blend; (4,4) from the file's coordinates to the scene's.

    fps: frames a second of the empty scene, in which animation is read; .blend and FBX have a rate of their own. Raises
    MeshError where the file is missing or is no scan.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise MeshError(f"{path} is not a scan that FreeTalk reads; use {', '.join(sorted(_READERS))}.")
    if not path.is_file():
        raise MeshError(f"The scan {path} does not exist; check the path.")
    try:
        path.open("rb").close()
    except OSError as error:
        raise MeshError(f"The scan {path} cannot be read ({error.strerror}); check the path.") from error
    if path.suffix.lower() != ".blend":
        empty_scene()
        if fps is not None:
            sound.set_scene_fps(bpy.context.scene, fps)
    try:
        file_to_world = reader(path.resolve())
    except RuntimeError as error:  # how Blender's operators tell that a file is damaged
        reason = log.reported(error).rstrip(".")
        if path.suffix.lower() == ".fbx" and _is_text(path):
            raise MeshError(
                f"The scan {path} cannot be read: Blender reads binary FBX alone; export it as that."
            ) from error
        if missing := _MISSING_EXTENSION.search(reason):
            raise MeshError(
                f"The scan {path} needs {missing[1]}, which Blender cannot read; export it again without it: "
                "without compression, where it is one."
            ) from error
        raise MeshError(f"The scan {path} cannot be read ({reason}); the file may be damaged.") from error
    bpy.context.view_layer.update()
    return file_to_world


def _is_text(path: Path) -> bool:
    """Does a file begin with text, as an FBX does that is not binary?"""
    with path.open("rb") as file:
        return b"\0" not in file.read(64)


def sources() -> list[Path]:
    """Files that what was read is made of: pictures, sounds, films, libraries, also where copies of them are packed."""
    tiles = [path for image in bpy.data.images if image.source == "TILED" for path in pictures.named(image)]
    return [*map(Path, bpy.utils.blend_paths(absolute=True, packed=True)), *tiles]


def last_key() -> float | None:
    """The last frame that anything animated has; None where nothing is."""
    ends = [action.frame_range[1] for action in bpy.data.actions if action.users]
    return max(ends, default=0.0 if bpy.data.cache_files else None)


def _named(path: Path, name: str) -> bpy.types.Object:
    """The mesh of that name."""
    known = {item.name: item for item in _solid(path)}
    if name not in known:
        others = [scene for scene in bpy.data.scenes if scene != bpy.context.scene]
        if elsewhere := [scene.name for scene in others if name in {item.name for item in _with_faces(scene)}]:
            raise _in_another(f"{name} of {path.name} is", elsewhere, "its")
        raise MeshError(f"{path.name} holds no mesh {name}; its meshes are {wording.named(list(known), 8)}.")
    return known[name]


def _solid(path: Path) -> dict[bpy.types.Object, None]:
    """The meshes with a surface; talking copies stand for their originals. MeshError where there is none."""
    solid = _with_faces(bpy.context.scene)
    instances = [item.name for item in bpy.context.scene.objects if item.instance_collection is not None]
    if not solid and instances:
        raise MeshError(
            f"The scan {path} holds no mesh of its own but instances of collections: {wording.named(instances)}; in "
            "Blender, Object > Apply > Make Instances Real (or, of a linked character, Object > Library Override > "
            "Make), and save it."
        )
    if elsewhere := [scene.name for scene in bpy.data.scenes if not solid and _with_faces(scene)]:
        raise _in_another(f"The meshes of {path.name} are", elsewhere, "their")
    if not solid:
        raise MeshError(f"The scan {path} holds no mesh with faces; export the surface, not the points alone.")
    return dict.fromkeys(map(original_of, solid))


def _in_another(told: str, scenes: list[str], whose: str) -> MeshError:
    return MeshError(
        f"{told} in the scene {wording.named(scenes)}, and {bpy.context.scene.name} opens with the file; choose "
        f"{whose} scene in Blender's header, and save it."
    )


def _with_faces(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    return [item for item in scene.objects if item.type == "MESH" and len(item.data.polygons)]


def _face(
    path: Path, file_to_world: np.ndarray, landmarks: np.ndarray | None, device: str
) -> tuple[bpy.types.Object, tuple[str, ...]]:
    """The mesh that is the face, and what to tell of the choice."""
    found = _solid(path)
    if landmarks is not None:
        shown = [item for item in found if _is_seen(item)]
        return min(shown or found, key=lambda item: _distance(item, transformed(file_to_world, landmarks))), ()
    large = sorted(found, key=lambda item: (not _is_seen(item), -len(item.data.vertices), item.name))
    if len(large) == 1:
        return large[0], ()
    surfaces = [
        (transformed(meshes.world(item), meshes.vertices(item.data)), meshes.triangles(item.data)) for item in large
    ]
    number = detector.first_face(surfaces, device)
    if number is None:
        return large[0], ()
    return large[number], (f"Of the {len(large)} meshes in {path.name}, {large[number].name} has the face.",)


def _is_seen(item: bpy.types.Object) -> bool:
    """Is an object seen, or its talking copy, for which it is hidden?"""
    copy = copy_of(item)
    return item.visible_get() or (copy is not None and copy.visible_get())


def _distance(item: bpy.types.Object, points: np.ndarray) -> float:
    """Mean distance of points (N,3) in the world to the object's vertices."""
    vertices = transformed(meshes.world(item), meshes.vertices(item.data))
    return float(np.linalg.norm(vertices[meshes.nearest(vertices, points)] - points, axis=1).mean())


def upright(scan: Scan, up: np.ndarray) -> None:
    """Stand the scene on its feet: turn everything so that the face's up (3,), in the world, becomes +Z.

    Only a quarter turn, so that the export's coordinates stay the file's; a scan lying on its back stays there.
    """
    if up[1] <= abs(up[2]):
        return
    for item in bpy.context.scene.objects:
        if item.parent is None:
            poses.turn(item, Matrix(Y_UP.tolist()))
    scan.file_to_world = Y_UP @ scan.file_to_world
    bpy.context.view_layer.update()


# Readers: each answers the file-to-world matrix ------------------------------------------------------------------


def _read_obj(path: Path) -> np.ndarray:
    bpy.ops.wm.obj_import(filepath=str(path), use_split_objects=False, use_split_groups=False, **_AS_IT_STANDS)
    return np.identity(4)


def _read_ply(path: Path) -> np.ndarray:
    bpy.ops.wm.ply_import(filepath=str(path), merge_verts=False, use_scene_unit=False, **_AS_IT_STANDS)
    return np.identity(4)


def _read_stl(path: Path) -> np.ndarray:
    bpy.ops.wm.stl_import(filepath=str(path), use_scene_unit=False, **_AS_IT_STANDS)
    if not any(len(mesh.polygons) for mesh in bpy.data.meshes):
        raise MeshError(
            f"The scan {path} cannot be read (Blender finds no facets in it); save it again as a binary STL, an OBJ or "
            "a PLY."
        )
    return np.identity(4)


def _read_gltf(path: Path) -> np.ndarray:
    with gltf.its_frame_rate(bpy.context.scene.render):
        bpy.ops.import_scene.gltf(filepath=str(path), merge_vertices=False)
    clips.play_together()
    clips.unclamp()
    return Y_UP


def _read_fbx(path: Path) -> np.ndarray:
    bpy.ops.import_scene.fbx(filepath=str(path), use_anim=True, anim_offset=0.0)
    clips.in_time(bpy.context.scene.render)
    return _fbx_to_world(path)


def _fbx_to_world(path: Path) -> np.ndarray:
    """The turn and scale that Blender's importer gives the file, from the file's own axes and unit."""
    from io_scene_fbx import fbx_utils, parse_fbx

    root, _ = parse_fbx.parse(str(path))
    settings = next((element for element in root.elems if element.id == b"GlobalSettings"), None)
    rows = next((element for element in (settings.elems if settings else []) if element.id == b"Properties70"), None)
    values = {row.props[0]: row.props[4] for row in (rows.elems if rows else []) if len(row.props) > 4}

    def axis(name: bytes, default: int) -> tuple[int, int]:
        return int(values.get(name + b"Axis", default)), int(values.get(name + b"AxisSign", 1))

    chosen = (axis(b"Up", 2), axis(b"Front", 1), axis(b"Coord", 0))
    names = {key: axes for axes, key in fbx_utils.RIGHT_HAND_AXES.items()}
    up, forward = names.get(chosen, ("Z", "Y"))
    matrix = np.array(axis_conversion(from_forward=forward, from_up=up).to_4x4())
    metres = float(values.get(b"UnitScaleFactor", 1.0)) / fbx_utils.units_blender_to_fbx_factor(bpy.context.scene)
    return matrix @ np.diag([metres, metres, metres, 1.0])


def _read_usd(path: Path) -> np.ndarray:
    """Through a stage of our own over the scan's layer that says "+Z up, metres": nothing is turned or scaled; and so
    many time codes a second as the scene has frames, which USD translates times to."""
    if not compat.exists(bpy.ops.wm.usd_import):
        raise MeshError(f"The scan {path} needs a Blender with USD, and this one is built without; convert it to glTF.")
    with TemporaryDirectory() as folder:
        stage = Path(folder) / "scan.usda"
        layer, rate = path.as_posix().replace("@@@", "\\@@@"), sound.scene_fps(bpy.context.scene)
        says = (
            f'upAxis = "Z"\n    metersPerUnit = 1\n    timeCodesPerSecond = {rate!r}\n    subLayers = [@@@{layer}@@@]'
        )
        header = f"#usda 1.0\n(\n    {says}\n)\n"
        stage.write_text(header, encoding="utf-8", errors="surrogateescape")
        bpy.ops.wm.usd_import(filepath=str(stage), set_frame_range=False, support_scene_instancing=False)
        if not len(bpy.context.scene.objects):  # a damaged layer is none, without a word; a damaged stage fails
            bpy.ops.wm.usd_import(filepath=str(path))
        usd_motion.take_over(path)
    clips.unclamp()
    return np.identity(4)


def _read_blend(path: Path) -> np.ndarray:
    bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False)
    linked.give_back()
    return np.identity(4)


_READERS: dict[str, Callable[[Path], np.ndarray]] = {
    ".obj": _read_obj,
    ".ply": _read_ply,
    ".stl": _read_stl,
    ".glb": _read_gltf,
    ".gltf": _read_gltf,
    ".fbx": _read_fbx,
    ".usd": _read_usd,
    ".usda": _read_usd,
    ".usdc": _read_usd,
    ".usdz": _read_usd,
    ".blend": _read_blend,
}
#: Formats that do not say which way is up, or whose saying was set aside.
UNORIENTED = {".obj", ".ply", ".stl", ".usd", ".usda", ".usdc", ".usdz"}
