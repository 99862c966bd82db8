"""Scan files into Blender and talking faces out of it, with the exact map between a file's coordinates and the world.

Landmarks and displacement speak the file's own coordinates. OBJ, PLY, STL and USD are read as they stand, and `upright`
turns what does not say which way is up by the face itself; glTF, FBX and .blend keep Blender's own reading.
"""

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import bpy
import numpy as np
from bpy_extras.io_utils import axis_conversion
from mathutils import Matrix

from ..core import atomic, detector
from ..core.errors import FreeTalkError, MeshError
from ..core.frame import transformed
from . import clips, compat, gltf, linked, meshes, parts, sound, takes, usd_motion
from .marks import original_of

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

    name: of the object that is the face; without one, the mesh where the landmarks (68,3), in the file's coordinates,
    are; without these, the largest mesh with a face on it, as networks on that device see it; fps: as `read` takes it.
    Raises MeshError where the file is missing, is no scan, or holds no mesh, or none of that name.
    """
    path = Path(path)
    file_to_world = read(path, fps)
    item, notes = _face(path, file_to_world, landmarks, device) if name is None else (_named(path, name), ())
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
    if path.suffix.lower() != ".blend":
        empty_scene()
        if fps is not None:
            sound.set_scene_fps(bpy.context.scene, fps)
    try:
        file_to_world = reader(path.resolve())
    except RuntimeError as error:  # how Blender's operators tell that a file is damaged
        reason = str(error).strip().splitlines()[-1].removeprefix("Error: ").rstrip(".")
        if missing := _MISSING_EXTENSION.search(reason):
            raise MeshError(
                f"The scan {path} needs {missing[1]}, which Blender cannot read; export it again without it: "
                "without compression, where it is one."
            ) from error
        raise MeshError(f"The scan {path} cannot be read ({reason}); the file may be damaged.") from error
    bpy.context.view_layer.update()
    return file_to_world


def last_key() -> float | None:
    """The last frame that anything animated has; None where nothing is."""
    ends = [action.frame_range[1] for action in bpy.data.actions if action.users]
    return max(ends, default=0.0 if bpy.data.cache_files else None)


def _named(path: Path, name: str) -> bpy.types.Object:
    """The mesh of that name."""
    known = {item.name: item for item in _solid(path)}
    if name not in known:
        raise MeshError(f"{path.name} holds no mesh {name}; its meshes are {parts.named(list(known), 8)}.")
    return known[name]


def _solid(path: Path) -> dict[bpy.types.Object, None]:
    """The meshes with a surface; talking copies stand for their originals. MeshError where there is none."""
    solid = [item for item in bpy.context.scene.objects if item.type == "MESH" and len(item.data.polygons)]
    instances = [item.name for item in bpy.context.scene.objects if item.instance_collection is not None]
    if not solid and instances:
        raise MeshError(
            f"The scan {path} holds no mesh of its own but instances of collections: {parts.named(instances)}; in "
            "Blender, Object > Apply > Make Instances Real (or, of a linked character, Object > Library Override > "
            "Make), and save it."
        )
    if not solid:
        raise MeshError(f"The scan {path} holds no mesh with faces; export the surface, not the points alone.")
    return dict.fromkeys(map(original_of, solid))


def _face(
    path: Path, file_to_world: np.ndarray, landmarks: np.ndarray | None, device: str
) -> tuple[bpy.types.Object, tuple[str, ...]]:
    """The mesh that is the face, and what to tell of the choice."""
    found = _solid(path)
    if landmarks is not None:
        return min(found, key=lambda item: _distance(item, transformed(file_to_world, landmarks))), ()
    large = sorted(found, key=lambda item: (-len(item.data.vertices), item.name))
    if len(large) == 1:
        return large[0], ()
    surfaces = [
        (transformed(meshes.world(item), meshes.vertices(item.data)), meshes.triangles(item.data)) for item in large
    ]
    number = detector.first_face(surfaces, device)
    if number is None:
        return large[0], ()
    return large[number], (f"Of the {len(large)} meshes in {path.name}, {large[number].name} has the face.",)


def _distance(item: bpy.types.Object, points: np.ndarray) -> float:
    """Mean distance of points (N,3) in the world to the object's vertices."""
    vertices = transformed(meshes.world(item), meshes.vertices(item.data))
    return float(np.linalg.norm(vertices[meshes.nearest(vertices, points)] - points, axis=1).mean())


def upright(scan: Scan, up: np.ndarray) -> None:
    """Stand the scene on its feet: turn everything so that the face's up (3,), in the world, becomes +Z.

    Only a quarter turn, so that the export's coordinates stay the file's; a scan lying on its back stays there.
    """
    if abs(up[1]) > abs(up[2]) and up[1] > 0:
        _turn(scan, Y_UP)


def _turn(scan: Scan, matrix: np.ndarray) -> None:
    for item in bpy.context.scene.objects:
        if item.parent is None:
            item.matrix_world = Matrix((matrix @ meshes.world(item)).tolist())
    scan.file_to_world = matrix @ scan.file_to_world
    bpy.context.view_layer.update()


# Reading: each answers the file-to-world matrix -----------------------------------------------------------------------


def _read_obj(path: Path) -> np.ndarray:
    bpy.ops.wm.obj_import(filepath=str(path), use_split_objects=False, use_split_groups=False, **_AS_IT_STANDS)
    return np.identity(4)


def _read_ply(path: Path) -> np.ndarray:
    bpy.ops.wm.ply_import(filepath=str(path), merge_verts=False, use_scene_unit=False, **_AS_IT_STANDS)
    return np.identity(4)


def _read_stl(path: Path) -> np.ndarray:
    bpy.ops.wm.stl_import(filepath=str(path), use_scene_unit=False, **_AS_IT_STANDS)
    return np.identity(4)


def _read_gltf(path: Path) -> np.ndarray:
    with gltf.its_frame_rate(bpy.context.scene.render):
        bpy.ops.import_scene.gltf(filepath=str(path), merge_vertices=False)
    clips.play_together()
    return Y_UP


def _read_fbx(path: Path) -> np.ndarray:
    bpy.ops.import_scene.fbx(filepath=str(path), use_anim=True, anim_offset=0.0)
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
        stage.write_text(header, encoding="utf-8")
        bpy.ops.wm.usd_import(filepath=str(stage), set_frame_range=False)
        usd_motion.take_over(path)
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


# Writing --------------------------------------------------------------------------------------------------------------


def save(path: Path, only: list[bpy.types.Object] | None = None) -> None:
    """Write the scene's visible objects, or only some, with their shape-key animation, in the format of the suffix.

    Armatures that move them are written too where they are hidden. The file appears whole or not at all; a .blend holds
    everything. Raises FreeTalkError where it cannot be written.
    """
    writer = _WRITERS[Path(path).suffix.lower()]
    written = [] if writer is _write_blend else only or _seen()
    rigs = dict.fromkeys(rig for item in written for rig in armatures(item))
    first = _from_first_line(written, Path(path))
    with atomic.output(Path(path)) as temporary, _shown(rigs), _selected(only), _pictures_found(), first:
        try:
            writer(temporary, only is not None)
        except RuntimeError as error:
            told = str(error)
            if "KeyboardInterrupt" in told:
                raise KeyboardInterrupt from error
            lines = [line for line in told.splitlines() if line.strip() and not line.startswith("Location: ")]
            raise FreeTalkError(f"{path} could not be written ({lines[-1].strip()}).") from error


def _seen() -> list[bpy.types.Object]:
    return [item for item in bpy.context.view_layer.objects if item.visible_get()]


@contextmanager
def _from_first_line(items: Iterable[bpy.types.Object], path: Path) -> Iterator[None]:
    """The scene begins early enough for what these objects say, for as long as they are written.

    Raises FreeTalkError where something is said before frame 0: a scene cannot begin there, nor do times in glTF.
    """
    scene, found = bpy.context.scene, [(item, takes.current(item)) for item in items]
    said = [(line, item.name) for item, take in found if take for line in takes.lines(take)]
    for line, name in said:
        if line.start < 0:
            raise FreeTalkError(
                f"{name} speaks from frame {line.start:g} on, and {path.name} cannot hold what is before frame 0; move "
                "its sound (or the scene) to later frames and animate it again."
            )
    before = scene.frame_start
    scene.frame_start = max(0, min([before, *(math.floor(line.reach[0]) for line, _ in said)]))
    try:
        yield
    finally:
        scene.frame_start = before


def armatures(item: bpy.types.Object) -> list[bpy.types.Object]:
    """Those that deform an object or that it hangs on."""
    found = [modifier.object for modifier in item.modifiers if modifier.type == "ARMATURE" and modifier.object]
    while item.parent is not None:
        item = item.parent
        found += [item] if item.type == "ARMATURE" else []
    return found


@contextmanager
def _shown(wanted: Iterable[bpy.types.Object]) -> Iterator[None]:
    """These objects are seen for as long as they are written, whatever hides them: collections, the eye, the screen."""
    scene, hidden = bpy.context.scene, [item for item in wanted if not item.visible_get()]
    linked = [item for item in hidden if item.name not in scene.collection.objects]
    for item in linked:
        scene.collection.objects.link(item)
    before = [(item, item.hide_get(), item.hide_viewport) for item in hidden]
    try:
        for item in hidden:
            item.hide_set(False)
            item.hide_viewport = False
        yield
    finally:
        for item, eye, screen in before:
            item.hide_set(eye)
            item.hide_viewport = screen
        for item in linked:
            scene.collection.objects.unlink(item)


@contextmanager
def _selected(only: list[bpy.types.Object] | None) -> Iterator[None]:
    """These objects alone are selected for as long as they are written; None changes nothing."""
    if only is None:
        yield
        return
    layer = bpy.context.view_layer.objects
    active, selected = layer.active, [item for item in layer if item.select_get()]
    try:
        _select(only)
        layer.active = only[0]
        yield
    finally:
        _select(selected)
        layer.active = active


def _select(wanted: list[bpy.types.Object]) -> None:
    for item in bpy.context.view_layer.objects:
        if item.select_get() != (item in wanted):
            item.select_set(item in wanted)


@contextmanager
def _pictures_found() -> Iterator[None]:
    """Pictures that are named as Windows does are found by exporters elsewhere too: Blender reads "a\\b.png", Python
    does not."""
    named = [(image, image.filepath) for image in bpy.data.images if "\\" in image.filepath and os.sep == "/"]
    try:
        for image, name in named:
            image.filepath_raw = name.replace("\\", "/")  # unlike filepath, it keeps what was painted
        yield
    finally:
        for image, name in named:
            image.filepath_raw = name


def _write_fbx(path: Path, selected: bool) -> None:
    # With NLA strips or all actions on, the exporter drops shape-key curves without a word; simplifying thins them.
    bpy.ops.export_scene.fbx(
        filepath=str(path),
        use_visible=True,
        use_selection=selected,
        object_types={"EMPTY", "ARMATURE", "MESH", "OTHER"},
        use_mesh_modifiers=False,
        mesh_smooth_type="FACE",
        add_leaf_bones=False,
        bake_anim=True,
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_simplify_factor=0.0,
        path_mode="COPY",
        embed_textures=True,
    )


def _write_usd(path: Path, selected: bool) -> None:
    operator = bpy.ops.wm.usd_export
    if not compat.exists(operator):
        raise FreeTalkError(f"{path.name} needs a Blender with USD, and this one is built without; write glTF or FBX.")
    for image in _pictures(_seen()):
        _check_place(image, path.parent / "textures")
    options = compat.known_options(
        operator,
        export_animation=True,
        export_shapekeys=True,
        export_custom_properties=False,
        visible_objects_only=True,
        selected_objects_only=selected,
        export_cameras=False,
        export_lights=False,
        convert_world_material=False,
    )
    operator(filepath=str(path), **options)


def _pictures(items: Iterable[bpy.types.Object]) -> set[bpy.types.Image]:
    """Images that the materials of objects show."""
    materials = {slot.material for item in items for slot in item.material_slots if slot.material}
    trees = [material.node_tree for material in materials if material.node_tree]
    return {node.image for tree in trees for node in tree.nodes if node.type == "TEX_IMAGE" and node.image}


def _check_place(image: bpy.types.Image, folder: Path) -> None:
    """FreeTalkError where another picture has the image's name in the folder: USD's exporter would take that for it."""
    source = Path(bpy.path.abspath(image.filepath, library=image.library))
    there = folder / source.name
    if not there.is_file() or not (image.packed_file or source.is_file()):
        return
    own = image.packed_file.data if image.packed_file else source.read_bytes()
    if own != there.read_bytes():
        raise FreeTalkError(
            f"{there} is another picture than that of {image.name}; write USD to another folder, or delete it."
        )


def _write_blend(path: Path, _selected: bool) -> None:
    path.unlink()  # Blender would keep the empty file that stands there as a backup
    with linked.kept():
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, compress=True)


_WRITERS: dict[str, Callable[[Path, bool], None]] = {
    ".glb": gltf.write,
    ".fbx": _write_fbx,
    ".usd": _write_usd,
    ".usda": _write_usd,
    ".usdc": _write_usd,
    ".blend": _write_blend,
}
EXPORTS = frozenset(_WRITERS)
