"""What moves in a file of a character goes on moving: clips of glTF and FBX, motion of USD, at their own speed."""

import io
from argparse import Namespace
from pathlib import Path

import bpy
import numpy as np
import pytest
from importing import POINTS, write_with_blender
from read_glb import document
from wheel import NEEDS_USD

from freetalk_blender.blender import compat, meshes, sound
from freetalk_blender.blender.formats import clips, files, saving
from freetalk_blender.progress import Progress
from freetalk_blender.stage import Stage


def write_clips(path: Path) -> None:
    """The tetrahedron walks in one clip, runs in another and grins in a third; a prop spins in a fourth."""
    write_with_blender(path)
    solid, prop = bpy.data.objects["solid"], bpy.data.objects.new("prop", bpy.data.meshes["solid"].copy())
    bpy.context.scene.collection.objects.link(prop)
    solid.shape_key_add()
    wide = solid.shape_key_add(name="wide")
    wide.data[0].co.x -= 1
    for moved, name, of in (
        (solid, "A walk", "location"),
        (solid, "B run", "location"),
        (wide, "C grin", "value"),
        (prop, "D spin", "location"),
    ):
        owner = moved.id_data
        action = compat.new_action(owner, name)
        for frame in (1, 25):
            setattr(moved, of, frame / 25 if of == "value" else (frame, 0, 0))
            moved.keyframe_insert(of, frame=frame)
        track = owner.animation_data.nla_tracks.new()
        track.name = name
        track.strips.new(name, 1, action)
        owner.animation_data.action = None
    bpy.ops.export_scene.gltf(filepath=str(path), export_animation_mode="NLA_TRACKS")


def test_clips_play_where_nothing_else_plays_and_the_others_are_named(tmp_path: Path) -> None:
    path = tmp_path / "character.glb"
    write_clips(path)
    scan = files.load(path, name="solid")
    playing = [item.animation_data.action.name[:6] for item in (scan.item, bpy.data.objects["prop"])]
    assert playing == ["A walk", "D spin"]
    (note,) = scan.notes
    assert note.startswith("character.glb has more clips than can play at once")
    assert [name in note for name in ("A walk", "B run", "C grin", "D spin")] == [False, True, True, False]
    for constrained in (False, True):
        if constrained:
            scan.item.constraints.new("COPY_LOCATION").target = bpy.data.objects["prop"]
        saving.save(tmp_path / "again.glb")
        tree, _ = document(tmp_path / "again.glb")
        (animation,) = tree["animations"]
        counts = [tree["accessors"][sampler["input"]]["count"] for sampler in animation["samplers"]]
        moved = [channel["target"] for channel in animation["channels"] if counts[channel["sampler"]] > 2]
        assert {tree["nodes"][target["node"]]["name"] for target in moved} == {"solid", "prop"} and len(moved) == 2
        assert {target["path"] for target in moved} == {"translation"}


def clip(owner: bpy.types.ID, name: str, plays: bool) -> bpy.types.Action:
    """A clip of the owner, as importers leave the first, which plays, and the others."""
    action = compat.new_action(owner, name)
    if not plays:
        track = owner.animation_data.nla_tracks.new()
        track.name = name
        track.strips.new(name, 1, action)
        owner.animation_data.action = None
    return action


def test_a_clip_does_not_take_the_place_of_one_that_plays(empty: bpy.types.Scene) -> None:
    body, prop = (bpy.data.objects.new(name, None) for name in ("body", "prop"))
    for owner in (body, prop):
        clip(owner, "B run", plays=False)
    walk = clip(body, "A walk", plays=True)
    spin = clip(prop, "D spin", plays=False)
    clips.play_together()
    assert (body.animation_data.action, prop.animation_data.action) == (walk, spin)
    (note,) = clips.left_out(Path("character.glb"))
    assert "B run" in note and "A walk" not in note and "D spin" not in note


def test_of_the_clips_of_what_stands_still_the_files_earlier_one_plays(empty: bpy.types.Scene) -> None:
    prop = bpy.data.objects.new("prop", None)
    clip(prop, "C third", plays=False)  # the importer adds the tracks of a file from its last clip on
    second = clip(prop, "B second", plays=False)
    clips.play_together()
    assert prop.animation_data.action == second


def test_clips_of_lights_cameras_and_materials_are_known_to_play_or_not(empty: bpy.types.Scene) -> None:
    skin = bpy.data.materials.new("skin")
    skin.use_nodes = True
    owners = [bpy.data.lights.new("sun", "SUN"), bpy.data.cameras.new("eye"), skin, skin.node_tree]
    props = [bpy.data.objects.new("prop", None) for _ in owners]
    for number, pair in enumerate(zip(owners, props, strict=True)):
        for owner in pair:
            clip(owner, f"{number} moves both", plays=False)
        clip(pair[0], "plays", plays=True)
    clips.play_together()
    assert not any(prop.animation_data.action for prop in props), "a clip plays as a whole or not at all"
    (note,) = clips.left_out(Path("character.glb"))
    assert "0 moves both" in note and "plays" not in note


def test_takes_of_an_fbx_that_do_not_play_are_named(tmp_path: Path) -> None:
    path = tmp_path / "character.fbx"
    write_clips(tmp_path / "unused.glb")
    bpy.ops.export_scene.fbx(filepath=str(path), bake_anim_use_nla_strips=False, bake_anim_use_all_actions=True)
    (note,) = files.load(path, name="solid").notes
    assert "B run" in note


#: A solid that moves up as a whole, and one whose first point does, in a file with +Y up and 12 time codes a second.
_MOVING = """#usda 1.0
(
    endTimeCode = 10
    startTimeCode = 1
    timeCodesPerSecond = 12
    upAxis = "Y"
)
"""
_SOLID = """
def Xform "{name}_place"
{{
    double3 xformOp:translate.timeSamples = {{ {places} }}
    uniform token[] xformOpOrder = ["xformOp:translate"]
    def Mesh "{name}"
    {{
        int[] faceVertexCounts = [3, 3, 3, 3]
        int[] faceVertexIndices = [0, 2, 1, 0, 1, 3, 1, 2, 3, 2, 0, 3]
        point3f[] points.timeSamples = {{ {points} }}
    }}
}}
"""


@NEEDS_USD
def test_usd_motion_stays_after_its_file_was_read(tmp_path: Path) -> None:
    rest, moved = ("[" + ", ".join(map(str, [(0, 0, z), *map(tuple, POINTS[1:].tolist())])) + "]" for z in (0, 4))
    path = tmp_path / "moving.usda"
    path.write_text(
        _MOVING
        + _SOLID.format(name="prop", places="1: (0, 0, 0), 4: (0, 0, 0), 10: (0, 6, 0)", points=f"1: {rest}")
        + _SOLID.format(name="cloth", places="1: (9, 0, 0)", points=f"1: {rest}, 10: {moved}")
    )
    (note,) = files.load(path).notes
    assert note.startswith("moving.usda moves surfaces point by point") and "cloth" in note and "prop" not in note
    saving.save(tmp_path / "out.blend")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out.blend"))
    assert [Path(bpy.path.abspath(cache.filepath)) for cache in bpy.data.cache_files if cache.users] == [path]
    prop, cloth = bpy.data.objects["prop"], bpy.data.objects["cloth"]
    heights = []
    for frame in (2, 8, 14, 20, 40):  # at 24 frames a second
        bpy.context.scene.frame_set(frame)
        heights.append(prop.matrix_world.translation.y)
    assert np.allclose(heights, [0, 0, 3, 6, 6], atol=1e-4)
    assert np.isclose(cloth.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.vertices[0].co.z, 4)


@pytest.mark.parametrize("suffix", [".glb", ".usdc"])
def test_keys_that_a_file_moves_both_ways_are_not_clamped(empty: bpy.types.Scene, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"said{suffix}"
    write_with_blender(path)
    item = bpy.data.objects["solid"]
    item.shape_key_add(name="Basis")
    block = item.shape_key_add(name='said "aloud"')
    block.slider_min, block.slider_max = -2, 2
    for frame, weight in ((1, 0.25), (5, -0.75), (9, 1.5)):
        block.value = weight
        block.keyframe_insert("value", frame=frame)
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, 9
    saving.save(path)
    scan = files.load(path, fps=24)
    (block,) = scan.item.data.shape_keys.key_blocks[1:]
    weights = []
    for frame in range(12):
        bpy.context.scene.frame_set(frame)
        weights.append(block.value)
    assert min(weights) == pytest.approx(-0.75, abs=1e-3) and max(weights) == pytest.approx(1.5, abs=1e-3)


#: A hand that turns once about itself in half a second, on an arm that rests.
_TURNING = """#usda 1.0
(
    endTimeCode = 12
    startTimeCode = 0
    timeCodesPerSecond = 24
    upAxis = "Z"
)
def Xform "arm"
{
    double3 xformOp:translate = (5, 0, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]
    def Xform "wrist"
    {
        float xformOp:rotateZ.timeSamples = { 0: 0, 12: 360 }
        uniform token[] xformOpOrder = ["xformOp:rotateZ"]
        def Mesh "hand"
        {
            int[] faceVertexCounts = [3]
            int[] faceVertexIndices = [0, 1, 2]
            point3f[] points = [(0, 0, 0), (1, 0, 0), (0, 1, 0)]
        }
    }
}
"""


@NEEDS_USD
def test_what_turns_in_a_usd_file_turns_the_shorter_way_between_frames(tmp_path: Path) -> None:
    path = tmp_path / "turning.usda"
    path.write_text(_TURNING)
    hand = files.load(path).item
    for half in range(24):
        bpy.context.scene.frame_set(half // 2, subframe=half % 2 / 2)
        angle = np.radians(half * 15)
        turned, at = np.array(hand.matrix_world)[:3, 0], hand.matrix_world.translation
        assert np.allclose(turned, [np.cos(angle), np.sin(angle), 0], atol=1e-2) and np.allclose(at, (5, 0, 0))


#: A hand on an arm that moves and turns.
_CARRIED = """#usda 1.0
(
    endTimeCode = 12
    startTimeCode = 0
    timeCodesPerSecond = 24
    upAxis = "Y"
)
def Xform "arm"
{
    double3 xformOp:translate.timeSamples = { 0: (1, 2, 3), 12: (4, 2, 5) }
    float xformOp:rotateX.timeSamples = { 0: 10, 12: 100 }
    uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:rotateX"]
    def Mesh "hand"
    {
        int[] faceVertexCounts = [3]
        int[] faceVertexIndices = [0, 1, 2]
        point3f[] points = [(0, 0, 0), (1, 0, 0), (0, 1, 0)]
    }
}
"""


@NEEDS_USD
def test_a_usd_file_whose_root_moves_is_set_upright_in_each_frame(tmp_path: Path) -> None:
    path = tmp_path / "carried.usda"
    path.write_text(_CARRIED)
    scan = files.load(path)

    def places() -> np.ndarray:
        placed = []
        for frame in (0, 6, 12, 20):
            bpy.context.scene.frame_set(frame)
            placed.append(meshes.world(scan.item))
        return np.array(placed)

    before = places()
    files.upright(scan, np.array([0.0, 1.0, 0.0]))
    assert np.allclose(places(), files.Y_UP @ before, atol=1e-5) and np.ptp(before, axis=0).max() > 0.9


#: A head that stands where an instance of it does.
_INSTANCED = """#usda 1.0
(
    upAxis = "Z"
)
class Xform "made"
{
    def Mesh "head"
    {
        int[] faceVertexCounts = [3]
        int[] faceVertexIndices = [0, 1, 2]
        point3f[] points = [(0, 0, 0), (1, 0, 0), (0, 1, 0)]
    }
}
def Xform "here" (
    instanceable = true
    references = </made>
)
{
    double3 xformOp:translate = (0, 0, 7)
    uniform token[] xformOpOrder = ["xformOp:translate"]
}
"""


@NEEDS_USD
def test_an_instance_in_a_usd_file_is_read_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "instanced.usda"
    path.write_text(_INSTANCED)
    scan = files.load(path)
    assert scan.notes == () and [*scan.item.matrix_world.translation] == [0, 0, 7]
    assert [item.name for item in bpy.data.objects if item.type == "MESH"] == ["head"]


@pytest.mark.parametrize(("suffix", "fps"), [(".glb", 30), (".usdc", 30), (".fbx", 24), (".blend", 24)])
def test_what_a_character_does_keeps_its_speed(
    empty: bpy.types.Scene, tmp_path: Path, head: Path, suffix: str, fps: float
) -> None:
    """Read for 30 frames a second, by formats that have no rate; others keep theirs."""
    path = tmp_path / f"moving{suffix}"
    write_with_blender(path)
    sound.set_scene_fps(bpy.context.scene, 24)
    item = bpy.data.objects["solid"]
    for frame, place in ((0, 0.0), (48, 1.0)):
        item.location.z = place
        item.keyframe_insert("location", frame=frame)
    for curve in compat.existing_curves(item):
        curve.keyframe_points.foreach_set("interpolation", [1, 1])
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 0, 48
    saving.save(path)
    scan, told = files.load(path, fps=30), io.StringIO()
    current, stage = bpy.context.scene, Stage(scan, Namespace(scan=path), Progress(told))
    assert stage.fps == fps
    stage.set_rate(stage.fps)
    heights = []
    for seconds in (0.5, 1.5):
        current.frame_set(round(seconds * fps))
        heights.append(meshes.world(scan.item)[2, 3])
    assert np.allclose(heights, [0.25, 0.75], atol=1e-3)
    assert files.last_key() in (0, pytest.approx(2 * fps)) and not told.getvalue(), "0: a cache, by USD"
    stage.set_rate(60)
    assert f"{path.name} was made at {fps} frames a second, and plays at 60 now" in told.getvalue()
    still = files.load(head)
    assert files.last_key() is None and Stage(still, Namespace(scan=head), Progress(told)).fps is None


@pytest.mark.parametrize("fps", [24000 / 1001, 30000 / 1001])
def test_an_fbx_of_a_fractional_frame_rate_keeps_its_time(empty: bpy.types.Scene, tmp_path: Path, fps: float) -> None:
    """Within minutes a body would be frames away from the lips."""
    path = tmp_path / "moving.fbx"
    write_with_blender(path)
    sound.set_scene_fps(bpy.context.scene, fps)
    item = bpy.data.objects["solid"]
    for frame in (0, 6000):
        item.location.z = frame
        item.keyframe_insert("location", frame=frame)
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 0, 6000
    saving.save(path)
    files.load(path)
    assert sound.scene_fps(bpy.context.scene) == pytest.approx(fps)
    assert files.last_key() == pytest.approx(6000, abs=0.01)
