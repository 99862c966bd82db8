"""A character's own shape keys by ARKit's names: moved instead of made anew, and given back."""

import bpy
import numpy as np
import pytest
from baking import animate, teeth_behind

from freetalk_blender.blender import bake, compat, marks, meshes, placed, takes, telling
from freetalk_blender.blender.ui import live
from freetalk_blender.core import arkit, turns
from freetalk_blender.core.mouth import inner_mouth

OWN = {"jawOpen": (57, (0, -12, -2)), "eyeBlink_L": (44, (0, -8, 0)), "Fat": (30, (0, 0, 20))}


@pytest.fixture
def character(talker: bpy.types.Object) -> bpy.types.Object:
    """The bare face with shape keys of its own, one of which it has animated."""
    vertices, points = meshes.vertices(talker.data), placed.points(talker)
    talker.shape_key_add(name="Basis", from_mix=False)
    for name, (landmark, move) in OWN.items():
        near = np.exp(-((np.linalg.norm(vertices - points[landmark], axis=1) / 20) ** 2))
        block = talker.shape_key_add(name=name, from_mix=False)
        block.points.foreach_set(
            "co", (vertices + near[:, None] * np.array(move, np.float32)).astype(np.float32).ravel()
        )
        block.value = 0.0
    block = talker.data.shape_keys.key_blocks["jawOpen"]
    for frame, value in ((200, 0.0), (210, 0.5)):
        block.value = value
        block.keyframe_insert("value", frame=frame)
    bpy.context.scene.freetalk.keys = "ARKIT"
    return talker


def weights(copy: bpy.types.Object, name: str, *frames: int) -> list[float]:
    curve = compat.fcurves(copy.data.shape_keys).find(f'key_blocks["{name}"].value')
    return [curve.evaluate(frame) for frame in frames or range(1, 52)]


def points(item: bpy.types.Object, name: str) -> np.ndarray:
    return meshes.places(item.data.shape_keys.key_blocks[name])


def test_a_characters_own_shape_keys_are_moved(character: bpy.types.Object) -> None:
    before = {name: points(character, name) for name in OWN}
    copy = animate(character)
    names = copy.data.shape_keys.key_blocks.keys()
    assert set(marks.lent_keys(copy)) == {"jawOpen", "eyeBlink_L"}
    assert "jawOpen.001" not in names and "eyeBlinkLeft" not in names and "eyeBlinkRight" in names
    assert {*arkit.NAMES} - {"jawOpen", "eyeBlinkLeft"} <= {block.name for block in bake.own_blocks(copy)}
    for name, shape in before.items():
        assert np.array_equal(points(copy, name)[: len(shape)], shape), "as the artist has them"
    assert 0.1 < max(weights(copy, "jawOpen")) <= 1 and min(weights(copy, "jawOpen")) >= 0
    assert weights(copy, "jawOpen", 200, 210) == pytest.approx([0, 0.5]), "the artist's own keys, elsewhere"
    assert copy.data.shape_keys.key_blocks["Fat"].value == 0
    assert character.data.shape_keys.key_blocks.keys() == ["Basis", *OWN]

    said = weights(copy, "jawOpen")
    bpy.context.scene.freetalk.keys = "AUTO"
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert not any(weights(copy, "jawOpen")) and weights(copy, "jawOpen", 210) == pytest.approx([0.5])
    bpy.context.scene.freetalk.keys = "ARKIT"
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert weights(copy, "jawOpen") == pytest.approx(said, abs=1e-5)
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert character.data.shape_keys.key_blocks.keys() == ["Basis", *OWN]
    assert all(np.array_equal(points(character, name), shape) for name, shape in before.items())


def test_another_take_and_the_preview_do_not_disturb_them(character: bpy.types.Object) -> None:
    copy = animate(character)
    said = weights(copy, "jawOpen")
    bpy.ops.freetalk.take_new()
    assert not any(weights(copy, "jawOpen")), "a new take is at rest"
    bpy.context.scene.freetalk.articulation = 0.0
    animate(character)
    assert max(weights(copy, "jawOpen")) < 0.5 * max(said)
    bpy.ops.freetalk.take_choose(take="head take 1")
    assert weights(copy, "jawOpen") == pytest.approx(said)
    bpy.context.scene.freetalk.articulation = 1.5
    live.watch(bpy.context)
    blocks = copy.data.shape_keys.key_blocks
    assert live.is_shown(copy) and blocks["jawOpen"].mute and not blocks["Fat"].mute
    bpy.context.scene.freetalk.articulation = 0.0
    live.watch(bpy.context)
    assert not live.is_shown(copy) and not blocks["jawOpen"].mute


def test_keys_that_something_else_drives_or_limits_are_left_alone(character: bpy.types.Object) -> None:
    blocks = character.data.shape_keys.key_blocks
    blocks["jawOpen"].driver_add("value")
    blocks["eyeBlink_L"].mute = True
    copy = animate(character)
    assert not marks.lent_keys(copy) and "eyeBlinkLeft" in copy.data.shape_keys.key_blocks


def test_made_keys_whose_names_are_taken_stay_known_by_what_they_do(
    character: bpy.types.Object, capfd: pytest.CaptureFixture[str]
) -> None:
    character.data.shape_keys.key_blocks["jawOpen"].driver_add("value")
    copy = animate(character)
    told = "so speech does not move them: jawOpen; it moves jawOpen.001 instead."
    assert told in capfd.readouterr().out
    keys, said = copy.data.shape_keys.key_blocks.keys(), weights(copy, "jawOpen.001")
    assert max(said) > 0.1 and marks.meant_keys(copy)["jawOpen"] == "jawOpen.001"

    bpy.ops.freetalk.take_new()
    animate(character)
    assert weights(copy, "jawOpen.001") == pytest.approx(said) and copy.data.shape_keys.key_blocks.keys() == keys
    bpy.context.scene.freetalk.keys = "AUTO"
    animate(character)
    bpy.context.scene.freetalk.keys = "ARKIT"
    animate(character)
    jaws = [block.name for block in copy.data.shape_keys.key_blocks if block.name.startswith("jawOpen")]
    assert jaws == ["jawOpen", "jawOpen.001"]
    assert weights(copy, "jawOpen.001") == pytest.approx(said)


def test_made_keys_whose_names_are_taken_are_made_anew_by_the_same_names(character: bpy.types.Object) -> None:
    """They are of the only line, which another replaces."""
    character.data.shape_keys.key_blocks["jawOpen"].mute = True
    copy = animate(character)
    copy.data.shape_keys.key_blocks["jawOpen.001"].mute = True
    keys = copy.data.shape_keys.key_blocks.keys()
    animate(character)
    assert copy.data.shape_keys.key_blocks.keys() == keys, "and none beside them"
    assert copy.data.shape_keys.key_blocks["jawOpen.001"].mute, "as the person left it"


@pytest.mark.parametrize("keys", ["ARKIT", "AUTO"])
def test_a_key_that_was_freed_after_the_copy_was_made_is_told(character: bpy.types.Object, keys: str) -> None:
    block, settings = character.data.shape_keys.key_blocks["jawOpen"], bpy.context.scene.freetalk
    block.driver_add("value")
    settings.keys, settings.happy = keys, 0.5
    copy = animate(character)
    block.driver_remove("value")
    settings.keys = "ARKIT"
    told = r"driven, muted or limited \(jawOpen\); delete head FreeTalk and animate again"
    with pytest.raises(RuntimeError, match=told):
        bpy.ops.freetalk.rebake()
    bpy.data.objects.remove(copy)
    copy = animate(character)
    assert settings.happy == 0.5 and settings.keys == "ARKIT" and settings.sound_file
    assert "jawOpen" in marks.lent_keys(copy) and "jawOpen.001" not in copy.data.shape_keys.key_blocks
    assert not [note for note in telling.notes(copy) if "instead" in note]


def test_a_key_that_came_after_the_copy_is_told(character: bpy.types.Object) -> None:
    copy = animate(character)
    character.shape_key_add(name="mouthPucker", from_mix=False)
    told = r"its talking copy lacks \(mouthPucker\); delete head FreeTalk and animate again"
    with pytest.raises(RuntimeError, match=told):
        bpy.ops.freetalk.rebake()
    bpy.data.objects.remove(copy)
    assert "mouthPucker" in marks.lent_keys(animate(character))


def test_a_talking_copy_whose_original_is_gone_says_something_else(talker: bpy.types.Object) -> None:
    scene = bpy.context.scene
    scene.freetalk.head = 1.0
    first = animate(talker)
    old = [block.name for block in bake.own_blocks(first)]
    take = takes.current(first)
    before = {name: weights(first, name) for name in old}
    turning = [name for name in turns.KEYS if name in old]
    for name in turning:
        first.data.shape_keys.key_blocks[name].slider_min = 0.0  # as importers may leave it
    bpy.data.objects.remove(talker)
    scene.freetalk.face, scene.freetalk.articulation = first, 1.5
    copy = animate(first)
    assert takes.current(copy) != take and marks.original_of(copy) == first
    assert {name: weights(first, name) for name in old} == before, "its own take is not changed"
    scene.frame_set(30)
    blocks = copy.data.shape_keys.key_blocks
    named = {*inner_mouth.KEYS, *turns.KEYS}
    assert not any(abs(blocks[name].value) > 1e-6 for name in old if name not in named), "what it said before rests"
    turned = {name: min(weights(copy, name)) for name in turning}
    assert min(turned.values()) < 0 and all(blocks[name].slider_min <= least for name, least in turned.items())
    assert set(marks.lent_keys(copy)) == named & set(old) and "headPitch.001" not in blocks
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert first.visible_get() and [block.name for block in bake.own_blocks(first)] == old


def test_shapes_that_go_on_moving_beside_what_is_said_are_told(character: bpy.types.Object) -> None:
    bpy.context.scene.freetalk.keys = "AUTO"
    (told,) = telling.notes(animate(character))
    assert "animated and move the face too: jawOpen;" in told
    bpy.context.scene.freetalk.keys = "ARKIT"
    assert not telling.notes(animate(character))


def keyed(block: bpy.types.ShapeKey, **at: float) -> None:
    """Values by frames: f1=0.5."""
    for frame, value in at.items():
        block.value = value
        block.keyframe_insert("value", frame=int(frame[1:]))


def test_an_older_lip_sync_by_any_names_is_told(character: bpy.types.Object) -> None:
    """Fcl_MTH_A opens the mouth; the others rest, hardly move it, are muted, or follow what the face does anyway."""
    vertices, rig = meshes.vertices(character.data), bpy.data.objects.new("rig", None)
    near = np.exp(-((np.linalg.norm(vertices - placed.points(character)[57], axis=1) / 20) ** 2))[:, None]
    character.shape_key_remove(character.data.shape_keys.key_blocks["jawOpen"])
    for name in ("Fcl_MTH_A", "viseme_aa", "slight", "adult", "muted", "corrective", "by a rig"):
        block = character.shape_key_add(name=name, from_mix=False)
        block.points.foreach_set("co", (vertices + near * np.float32([0, -6, 0])).ravel())
        block.mute, block.value = name == "muted", 0.0
    blocks = character.data.shape_keys.key_blocks
    keyed(blocks["Fcl_MTH_A"], f1=0.0, f5=1.0)
    keyed(blocks["slight"], f1=0.0, f5=0.05)
    keyed(blocks["adult"], f1=0.1, f5=0.1)
    keyed(blocks["muted"], f1=0.0, f5=1.0)
    for name, read, path in (
        ("corrective", character.data.shape_keys, 'key_blocks["Fcl_MTH_A"].value'),
        ("by a rig", rig, "location[1]"),
    ):
        target = blocks[name].driver_add("value").driver.variables.new().targets[0]
        target.id_type = read.id_type
        target.id, target.data_path = read, path
    for keys in ("ARKIT", "AUTO"):
        bpy.context.scene.freetalk.keys = keys
        (told,) = telling.notes(animate(character))
        assert "move the face too: Fcl_MTH_A; delete their keys if they should not, or mute them." in told
    rig.keyframe_insert("location", frame=1)
    assert "too: Fcl_MTH_A, by a rig;" in telling.notes(animate(character))[0]


def test_a_lent_key_that_was_deleted_from_the_copy_is_told(character: bpy.types.Object) -> None:
    copy = animate(character)
    copy.shape_key_remove(copy.data.shape_keys.key_blocks["jawOpen"])
    with pytest.raises(RuntimeError, match="delete head FreeTalk and animate again"):
        bpy.ops.freetalk.rebake()
    bpy.context.scene.freetalk.keys = "AUTO"
    assert bpy.ops.freetalk.rebake() == {"FINISHED"} and marks.lent_keys(copy) == ["eyeBlink_L"]


def test_teeth_with_and_without_shape_keys_of_their_own_go_with_the_jaw(character: bpy.types.Object) -> None:
    """Two objects in the mouth: one has a jawOpen itself, the other moves as the made one would."""
    sound = bpy.context.scene.freetalk.sound_file
    own, bare = (teeth_behind(character, placed.points(character), name) for name in ("own", "bare"))
    own.location.x += 0.005
    rest = meshes.vertices(own.data)
    own.shape_key_add(name="Basis", from_mix=False)
    block = own.shape_key_add(name="jawOpen", from_mix=False)
    block.value = 0.0
    block.points.foreach_set("co", (rest + np.float32([0, 0, -7])).ravel())
    count, each = len(character.data.vertices), len(rest)
    copy = animate(character)
    assert len(copy.data.vertices) >= count + 2 * each and not own.visible_get() and not bare.visible_get()
    moved = points(copy, "jawOpen") - meshes.vertices(copy.data)
    groups = [moved[count : count + each], moved[count + each : count + 2 * each]]
    sizes = sorted(np.linalg.norm(group, axis=1).mean() for group in groups)
    assert all(np.allclose(group, group[0], rtol=0.5) for group in groups) and sizes[0] > 1
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert own.visible_get() and own.data.shape_keys.key_blocks.keys() == ["Basis", "jawOpen"]
    block.value = 0.5
    settings = bpy.context.scene.freetalk
    settings.face, settings.sound_file, settings.keys = character, sound, "ARKIT"
    animate(character)
    assert own.visible_get() and not bare.visible_get(), "a shape that is in use would be lost"
