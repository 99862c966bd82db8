"""Takes: several performances of one face, as actions that Blender's own tools see."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import motion
from read_glb import read

from freetalk_blender.blender import bake, cleanup, compat, marks, meshes, placed, takes
from freetalk_blender.blender.ui import animate as animating
from freetalk_blender.blender.ui import request
from freetalk_blender.core import arkit, turns
from freetalk_blender.core.landmarks import Landmarks
from freetalk_blender.core.mouth import inner_mouth


def animate(**sliders: float) -> bpy.types.Object:
    """The talking copy after Animate with these sliders."""
    for name, value in sliders.items():
        setattr(bpy.context.scene.freetalk, name, value)
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    (copy,) = marks.all_copies()
    return copy


def test_a_second_take_leaves_the_first_as_it_was(talker: bpy.types.Object) -> None:
    copy = animate(happy=0.0)
    neutral = motion(copy)
    assert bpy.ops.freetalk.take_new() == {"FINISHED"}
    assert animate(happy=1.0) is copy
    happy = motion(copy)
    assert np.linalg.norm(happy - neutral, axis=2).max() > 2, "millimetres"
    first, second = takes.listed(copy)
    assert [first.name, second.name] == ["head take 1", "head take 2"] and takes.current(copy) == second
    assert bpy.ops.freetalk.take_choose(take=first.name) == {"FINISHED"}
    assert np.abs(motion(copy) - neutral).max() < 1e-3


def test_the_second_take_is_as_exact_as_if_it_were_the_only_one(talker: bpy.types.Object) -> None:
    sound, points = bpy.context.scene.freetalk.sound_file, placed.points(talker)
    alone = motion(animate(happy=1.0))
    bpy.ops.freetalk.remove()
    settings = bpy.context.scene.freetalk
    settings.face, settings.sound_file = talker, sound
    placed.keep(talker, Landmarks(points))
    animate(happy=0.0)
    bpy.ops.freetalk.take_new()
    second = motion(animate(happy=1.0))
    assert np.linalg.norm(second - alone, axis=2).max() < 0.3, "both are made to 0.1 mm"


def test_each_take_lies_on_a_muted_track_and_one_plays(talker: bpy.types.Object) -> None:
    copy = animate()
    bpy.ops.freetalk.take_new()
    animate(sad=0.5)
    data = copy.data.shape_keys.animation_data
    assert [track.mute for track in data.nla_tracks] == [True, True]
    assert [track.strips[0].action.name for track in data.nla_tracks] == ["head take 1", "head take 2"]
    assert data.action.name == "head take 2"
    assert [strip.strips[0].frame_end for strip in data.nla_tracks] == [61, 61], "the line, and back to rest"


def test_a_deleted_take_takes_its_own_shapes_with_it(talker: bpy.types.Object) -> None:
    copy = animate()
    count = len(bake.own_blocks(copy))
    bpy.ops.freetalk.take_new()
    animate(angry=1.0)
    assert len(bake.own_blocks(copy)) > count
    assert bpy.ops.freetalk.take_delete(take="head take 2") == {"FINISHED"}
    assert [take.name for take in takes.listed(copy)] == ["head take 1"] and takes.current(copy).name == "head take 1"
    assert len(bake.own_blocks(copy)) == count and "head take 2" not in bpy.data.actions


def test_animating_again_replaces_the_line_and_leaves_no_spare_shapes(talker: bpy.types.Object) -> None:
    counts = {len(bake.own_blocks(animate(happy=value))) for value in (0.0, 0.5, 0.0)}
    assert max(counts) < 45 and len(takes.listed(marks.all_copies()[0])) == 1


def test_takes_that_are_baked_again_in_turn_do_not_pile_up_shapes(talker: bpy.types.Object) -> None:
    copy = animate(happy=0.0)
    bpy.ops.freetalk.take_new()
    fresh = len(bake.own_blocks(animate(happy=0.5)))
    for happy in (0.2, 0.9, 0.4, 0.7):
        other = motion(copy)
        (idle,) = set(takes.listed(copy)) - {takes.current(copy)}
        bpy.ops.freetalk.take_choose(take=idle.name)
        animate(happy=happy)
        assert len(bake.own_blocks(copy)) < 2 * fresh
        bpy.ops.freetalk.take_choose(take=next(take.name for take in takes.listed(copy) if take != idle))
        assert np.abs(motion(copy) - other).max() < 1e-3
        bpy.ops.freetalk.take_choose(take=idle.name)


def test_what_hands_have_keyed_outside_of_a_line_stays(talker: bpy.types.Object) -> None:
    copy = animate()
    curve = compat.fcurves(copy.data.shape_keys)[0]
    curve.keyframe_points.insert(90, 0.5).interpolation = "BEZIER"
    assert bpy.ops.freetalk.take_new() == {"FINISHED"}
    animate(happy=0.5)
    bpy.ops.freetalk.take_choose(take="head take 1")
    point = compat.fcurves(copy.data.shape_keys)[0].keyframe_points[-1]
    assert (point.co.x, point.co.y, point.interpolation) == (90, 0.5, "BEZIER")


@pytest.mark.parametrize("modified", [False, True])
def test_gltf_comes_to_rest_as_the_take_does(talker: bpy.types.Object, tmp_path: Path, modified: bool) -> None:
    copy = animate()
    if modified:
        lift = compat.fcurves(copy.data.shape_keys)[0].modifiers.new("GENERATOR")
        lift.use_additive, lift.coefficients = True, (0.05, 0)
    assert bpy.ops.freetalk.export(filepath=str(tmp_path / "head.glb")) == {"FINISHED"}
    morphs, curves = read(tmp_path / "head.glb"), compat.fcurves(copy.data.shape_keys)
    assert np.allclose(25 * morphs.times, range(1, 62), atol=1e-3)
    found = [curves.find(f'key_blocks["{name}"].value') for name in morphs.names]
    assert {len(curve.keyframe_points) for curve in found} == {52}, "in Blender they stay as they are"
    shown = [[curve.evaluate(frame) for curve in found] for frame in range(1, 62)]
    assert np.allclose(morphs.weights, np.clip(shown, -1, 1) if modified else shown, atol=1e-5)


def test_the_persons_own_shape_key_and_its_action_live_on_in_every_take(talker: bpy.types.Object) -> None:
    talker.shape_key_add(name="Basis")
    talker.shape_key_add(name="Smirk").value = 0.25
    key = talker.data.shape_keys
    compat.new_action(key, "mine")
    compat.fcurves(key).new('key_blocks["Smirk"].value').keyframe_points.insert(5, 0.75)
    copy = animate()
    bpy.ops.freetalk.take_new()
    animate(happy=0.5)
    for take in takes.listed(copy):
        takes.choose(copy, take)
        assert compat.fcurves(copy.data.shape_keys).find('key_blocks["Smirk"].value').evaluate(5) == 0.75
    bpy.ops.freetalk.remove()
    assert key.animation_data.action.name == "mine" and len(compat.fcurves(key)) == 1
    assert [block.name for block in key.key_blocks] == ["Basis", "Smirk"]


@pytest.mark.parametrize(
    "setting", ["is_solo", "action_influence", "action_blend_type", "action_influence, without a track"]
)
def test_what_silences_or_weakens_an_action_in_the_persons_nla_does_not_do_so_to_takes(
    talker: bpy.types.Object, setting: str
) -> None:
    own = ("Frown", "Smirk")
    for name in ("Basis", *own):
        talker.shape_key_add(name=name)
    key = talker.data.shape_keys
    keyed(key, {1: 0.0, 20: 0.8}, "Frown")
    data = key.animation_data
    if not setting.endswith("track"):  # Blender weakens nothing then
        first, through = data.action, compat.slot(key)
        data.action = None
        data.nla_tracks.new().strips.new("first", 1, first)
        if through is not None:
            data.nla_tracks[0].strips[0].action_slot = through
        keyed(key, {1: 0.5, 15: 1.0}, *own)
    if setting == "is_solo":
        data.nla_tracks[0].is_solo = True
    elif setting == "action_blend_type":
        data.action_blend_type = "MULTIPLY"
    else:
        data.action_influence = 0.3
    before = played(key, own)
    copy = animate()
    bpy.ops.freetalk.take_new()
    animate(happy=0.5)
    for take in takes.listed(copy):
        takes.choose(copy, take)
        names = [block.name for block in bake.own_blocks(copy)]
        curves = [compat.find_curve(copy.data.shape_keys, f'key_blocks["{name}"].value') for name in names]
        wanted = [[curve.evaluate(frame) for frame in range(1, 41)] for curve in curves]
        assert np.abs(played(copy.data.shape_keys, names) - wanted).max() < 1e-6
        assert np.abs(played(copy.data.shape_keys, own) - before).max() < 1e-6, "and what it had itself is as it was"


def keyed(key: bpy.types.Key, values: dict[int, float], *names: str) -> None:
    """Keys frame -> value of these shape keys."""
    for name in names:
        for frame, value in values.items():
            key.key_blocks[name].value = value
            key.key_blocks[name].keyframe_insert("value", frame=frame)


def played(key: bpy.types.Key, names: Sequence[str]) -> np.ndarray:
    """(K,T) values of these shape keys in 40 frames, each from rest: what nothing moves stays as it is."""
    found = []
    for frame in range(1, 41):
        for name in names:
            key.key_blocks[name].value = 0.0
        key.update_tag()
        bpy.context.scene.frame_set(frame)
        found.append([key.key_blocks[name].value for name in names])
    return np.array(found).T


@pytest.mark.parametrize("keys", ["AUTO", "ARKIT"])
@pytest.mark.parametrize("mouth", ["teeth", "dark", "none"])
def test_remove_leaves_nothing_of_freetalk_in_the_file(
    talker: bpy.types.Object, tmp_path: Path, keys: str, mouth: str
) -> None:
    kinds = [name for name in dir(bpy.data) if isinstance(getattr(bpy.data, name), bpy.types.bpy_prop_collection)]
    before, settings = {kind: sorted(getattr(bpy.data, kind).keys()) for kind in kinds}, bpy.context.scene.freetalk
    end = bpy.context.scene.frame_end
    settings.keys, settings.inner_mouth, settings.eyeballs = keys, mouth, mouth == "teeth"
    assert bpy.ops.freetalk.detect() == {"FINISHED"}
    copy = animate(happy=0.5)
    bpy.context.scene.freetalk.keyframe_insert("sad", frame=3)
    bpy.ops.freetalk.take_new()
    assert bpy.context.scene.frame_end > end and list(cleanup.found())
    assert np.array_equal(meshes.vertices(copy.data)[: len(talker.data.vertices)], meshes.vertices(talker.data))
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert list(cleanup.found()) == []
    assert {kind: sorted(getattr(bpy.data, kind).keys()) for kind in kinds} == before
    assert bpy.context.scene.frame_end == end
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "left.blend"), compress=False)
    assert b"freetalk" not in (tmp_path / "left.blend").read_bytes().lower().replace(b"freetalk_pt_", b"")


def test_the_tongue_has_shape_keys_by_name_which_other_takes_use_again(talker: bpy.types.Object) -> None:
    copy = animate()
    blocks = copy.data.shape_keys.key_blocks
    tongue = {name: blocks[name] for name in inner_mouth.KEYS if name in blocks}
    assert len(tongue) == 3 and {block.slider_min for block in tongue.values()} == {0.0}
    curve = compat.fcurves(copy.data.shape_keys).find('key_blocks["tongueTipUp"].value')
    assert max(curve.evaluate(frame) for frame in range(1, 52)) > 0.3
    bpy.ops.freetalk.take_new()
    assert animate(happy=1.0) is copy
    assert sum(block.name.startswith("tongue") for block in copy.data.shape_keys.key_blocks) == 3
    bpy.context.scene.freetalk.keys = "MOST"
    bpy.context.scene.freetalk.most = 6
    bpy.ops.freetalk.take_new()
    assert animate(happy=1.0) is copy


def test_a_head_that_nods_and_eyes_that_look_have_shape_keys_by_name_that_go_both_ways(
    talker: bpy.types.Object,
) -> None:
    copy = animate()
    assert not {*turns.KEYS} & {block.name for block in bake.own_blocks(copy)}
    bpy.context.scene.freetalk.head, bpy.context.scene.freetalk.gaze = 2.0, 1.0
    bpy.ops.freetalk.take_new()
    assert animate() is copy
    blocks = copy.data.shape_keys.key_blocks
    assert all(blocks[name].slider_max == 1.0 for name in turns.KEYS)
    curves = [compat.fcurves(copy.data.shape_keys).find(f'key_blocks["{name}"].value') for name in turns.KEYS]
    weights = np.array([[curve.evaluate(frame) for frame in range(1, 52)] for curve in curves])
    assert (np.ptp(weights, 1) > 0.01).all() and np.abs(weights).max() < 1
    assert [blocks[name].slider_min for name in turns.KEYS] == [-1.0 if (row < 0).any() else 0.0 for row in weights]


def test_arkits_shape_keys_have_their_names_and_weights_from_0_to_1(talker: bpy.types.Object) -> None:
    bpy.context.scene.freetalk.keys = "ARKIT"
    copy = animate(happy=0.5)
    blocks = {block.name: block for block in bake.own_blocks(copy)}
    assert {*arkit.NAMES} <= set(blocks) <= {*arkit.NAMES, *inner_mouth.KEYS}
    assert {block.slider_min for block in blocks.values()} == {0.0}
    values = [compat.fcurves(copy.data.shape_keys).find(f'key_blocks["{name}"].value') for name in blocks]
    weights = np.array([[curve.evaluate(frame) for frame in range(1, 52)] for curve in values])
    assert weights.min() >= 0 and weights.max() <= 1 and weights.max() > 0.2
    assert animate(happy=0.0) is copy and len(bake.own_blocks(copy)) == len(blocks)


def test_takes_with_arkits_and_with_other_shape_keys_do_not_disturb_each_other(talker: bpy.types.Object) -> None:
    first = motion(animate())
    count = len(bake.own_blocks(marks.all_copies()[0]))
    bpy.ops.freetalk.take_new()
    bpy.context.scene.freetalk.keys = "ARKIT"
    copy = animate(happy=1.0)
    second = motion(copy)
    blocks = [block.name for block in bake.own_blocks(copy)]
    assert len(blocks) > count and "jawOpen" in blocks and np.linalg.norm(second - first, axis=2).max() > 2
    bpy.ops.freetalk.take_new()
    assert [block.name for block in bake.own_blocks(animate(happy=1.0))] == blocks, "the same shapes serve again"
    assert np.abs(motion(copy) - second).max() < 1e-3
    bpy.ops.freetalk.take_choose(take="head take 1")
    assert np.abs(motion(copy) - first).max() < 1e-3
    for number in (2, 3):
        bpy.ops.freetalk.take_delete(take=f"head take {number}")
    assert len(bake.own_blocks(copy)) == count and marks.named_keys(copy) == [*inner_mouth.KEYS]


def test_a_take_is_not_deleted_while_its_mesh_is_edited(talker: bpy.types.Object) -> None:
    """Edit Mode brings shape keys back; ARKit's were in the way of new ones then, which got other names."""
    copy = animate()
    bpy.context.view_layer.objects.active = copy
    bpy.ops.object.mode_set(mode="EDIT")
    assert not bpy.ops.freetalk.lines_delete.poll()
    with pytest.raises(RuntimeError, match="Switch to Object Mode first"):
        bpy.ops.freetalk.take_delete(take="head take 1")
    bpy.ops.object.mode_set(mode="OBJECT")
    assert bpy.ops.freetalk.take_delete(take="head take 1") == {"FINISHED"} and not bake.own_blocks(copy)


def test_so_many_shape_keys_and_no_more(talker: bpy.types.Object) -> None:
    bpy.context.scene.freetalk.keys, bpy.context.scene.freetalk.most = "MOST", 6
    assert len(bake.own_blocks(animate())) == 6


def test_work_that_is_ended_while_it_is_written_leaves_the_scene_as_it_was(talker: bpy.types.Object) -> None:
    """After each of its steps, for a new copy and for a line in a copy that is there."""

    def listing() -> list:
        kinds = ("objects", "meshes", "shape_keys", "materials", "actions")
        names = [sorted(getattr(bpy.data, kind).keys()) for kind in kinds]
        return [*names, [[block.name for block in key.key_blocks] for key in bpy.data.shape_keys], list(talker.keys())]

    for emotion in (0.0, 0.6):
        bpy.context.scene.freetalk.happy = emotion
        wanted = request.read(bpy.context, talker)
        answer = wanted.run(lambda name: contextlib.nullcontext())
        before, ends = listing(), 1
        while True:
            writing = animating.writing(bpy.context, talker, wanted, answer)
            if any(next(writing, "done") == "done" for _ in range(ends)):
                break
            assert len(bpy.data.objects) >= len(before[0])
            writing.close()
            assert listing() == before, f"ended after {ends} steps"
            ends += 3
        assert ends > 10 and marks.copy_of(talker) is not None
