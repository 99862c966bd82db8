"""What a line writes into the curves of a take and what it leaves: keys of hands, other lines, rests between them."""

from dataclasses import replace

import bpy
import numpy as np
import pytest
from baking import baked, duplicate

from freetalk_blender.blender import bake, compat, curve_keys, spoken, takes
from freetalk_blender.core.compress import ShapeKeys


@pytest.fixture
def copy(cube: bpy.types.Object) -> bpy.types.Object:
    """The talking copy of the cube."""
    return duplicate(cube)


def keys_of(*weights: float) -> ShapeKeys:
    """One shape of a cube, a weight a frame."""
    return ShapeKeys(np.ones((1, 8, 3), np.float32), np.array(weights, np.float32)[:, None], 0.0)


def test_keys_of_hands_outside_of_a_line_are_as_they_were_when_it_is_baked_again(copy: bpy.types.Object) -> None:
    said = keys_of(1, 1, 1, 1, 1)
    baked(copy, said, 1, "a")
    baked(copy, said, 30, "b")

    def told() -> list:
        (curve,) = compat.fcurves(copy.data.shape_keys)
        keys = [key for key in curve.keyframe_points if key.co.x >= 90]
        shape = [(*key.co, key.interpolation, key.easing, key.back, key.amplitude, key.period) for key in keys]
        handles = [(*key.handle_right, key.handle_left_type, key.handle_right_type, key.type) for key in keys]
        return [shape, handles, [curve.evaluate(frame) for frame in range(90, 150, 7)]]

    points = compat.fcurves(copy.data.shape_keys)[0].keyframe_points
    for frame, value, going_on in ((90, 0.0, "BACK"), (110, 1.0, "ELASTIC"), (130, 0.5, "BEZIER"), (150, 0.0, "SINE")):
        key = points.insert(frame, value)
        key.interpolation, key.easing, key.back, key.amplitude, key.period = going_on, "EASE_IN", 4.0, 0.5, 6.0
        key.type, key.handle_left_type, key.handle_right_type = "BREAKDOWN", "FREE", "FREE"
        key.handle_right = frame + 3, value + 1
    before = told()
    assert len(before[0]) == 4 and min(before[2]) < -0.2
    baked(copy, said, 1, "a")
    assert told() == before


def test_a_shape_that_a_second_line_adds_rests_in_the_first(copy: bpy.types.Object) -> None:
    """At the first one's ends: between these the curve is straight, so that it rests all through it."""
    baked(copy, keys_of(1, 1, 1, 1, 1), 1, "a")
    other = keys_of(1, 1, 1)
    other.shapes[:, ::2] = -1
    baked(copy, other, 20, "b")
    added = compat.fcurves(copy.data.shape_keys)[1]
    assert [key.co.x for key in added.keyframe_points] == [1, 5, 20, 21, 22]
    assert not any(added.evaluate(frame) for frame in range(1, 6))


def test_what_is_beside_a_line_that_is_baked_again_elsewhere_stays_and_its_own_rests_go(copy: bpy.types.Object) -> None:
    said = keys_of(1, 1, 1)
    baked(copy, said, 10, "a", ease=4)
    baked(copy, said, 90, "b")
    (curve,) = compat.fcurves(copy.data.shape_keys)
    for frame in (9, 13):
        curve.keyframe_points.insert(frame, 0.25)
    baked(copy, said, 40, "a", ease=4)
    (curve,) = compat.fcurves(copy.data.shape_keys)
    assert [key.co.x for key in curve.keyframe_points] == [9, 13, 36, 40, 41, 42, 46, 90, 91, 92]


def test_a_face_rests_only_where_there_is_time_to_come_from_rest_too(copy: bpy.types.Object) -> None:
    for start, rests in ((18, []), (19, []), (20, [16]), (22, [16, 18])):
        baked(copy, keys_of(1, 1, 1), 10, "a", ease=4)
        baked(copy, keys_of(1, 1, 1), start, "b", ease=4)
        (curve,) = compat.fcurves(copy.data.shape_keys)
        keyed = [key.co.x for key in curve.keyframe_points]
        assert [at for at in keyed if 12 < at < start] == rests, f"the second one begins in frame {start}"


def test_to_rest_and_from_it_a_face_eases_and_exports_are_told_so_frame_by_frame(copy: bpy.types.Object) -> None:
    baked(copy, keys_of(1, 0.5, 1), 10, "a", ease=4)
    (curve,) = compat.fcurves(copy.data.shape_keys)
    before = curve_keys.read(curve)
    assert [*before["co"][:, 0]] == [6, 10, 11, 12, 16]
    shown = [curve.evaluate(frame) for frame in range(5, 19)]
    eased = (1 - np.cos(np.pi * np.arange(5) / 4)) / 2
    assert np.allclose(shown, [0, *eased, 0.5, *eased[::-1], 0, 0], atol=1e-3)
    with takes.linear([copy]):
        (curve,) = compat.fcurves(copy.data.shape_keys)
        keys = curve_keys.read(curve)
        assert (keys["interpolation"] == curve_keys.LINEAR).all() and [*keys["co"][:, 0]] == [*range(6, 17)]
        assert np.allclose([curve.evaluate(frame) for frame in range(5, 19)], shown, atol=1e-6)
    (curve,) = compat.fcurves(copy.data.shape_keys)
    assert all(np.array_equal(values, before[field]) for field, values in curve_keys.read(curve).items())


def test_a_take_that_is_deleted_leaves_the_one_that_plays_or_the_one_before_it(copy: bpy.types.Object) -> None:
    baked(copy, keys_of(1, 1, 1), 1, "a")
    made = [takes.current(copy), *(takes.create(copy) for _ in range(3))]
    names = [take.name for take in made]
    made[0].use_fake_user = True
    takes.choose(copy, made[1])
    takes.delete(copy, made[0])
    assert takes.current(copy) == made[1] and names[0] not in bpy.data.actions
    takes.choose(copy, made[3])
    takes.delete(copy, made[3])
    assert takes.current(copy) == made[2] and [take.name for take in takes.listed(copy)] == names[1:3]
    another = bpy.data.meshes.new("another")
    bpy.data.objects.new("another", another).shape_key_add()
    another.shape_keys.animation_data_create().action = made[1]
    takes.delete(copy, made[1])
    assert names[1] in bpy.data.actions, "it plays elsewhere"


@pytest.mark.parametrize("tracks", [True, False])
def test_a_line_that_is_baked_again_leaves_none_of_its_shapes_and_all_of_another_line(
    copy: bpy.types.Object, tracks: bool
) -> None:
    shapes = np.random.default_rng(2).normal(size=(6, 1, 8, 3)).astype(np.float32)
    baked(copy, replace(keys_of(1, 1, 1, 1, 1), shapes=shapes[0]), 1, "a")
    baked(copy, replace(keys_of(1, 1, 1), shapes=shapes[1]), 20, "b")

    def said() -> list[list]:
        curves = compat.fcurves(copy.data.shape_keys)
        return [[(*key.co,) for key in curve.keyframe_points if key.co.x >= 20] for curve in curves][:2]

    compat.fcurves(copy.data.shape_keys)[1].keyframe_points.insert(20.5, 0.8)
    if not tracks:
        nla = copy.data.shape_keys.animation_data.nla_tracks
        nla.remove(nla[0])
    before = said()
    for shape in shapes[2:]:
        baked(copy, replace(keys_of(1, 1, 1, 1, 1), shapes=shape), 1, "a")
        assert [block.name for block in bake.own_blocks(copy)] == ["FreeTalk 01", "FreeTalk 02", "FreeTalk 03"]
        assert said() == before and len(before[1]) == 4


@pytest.mark.parametrize("others", [False, True])
def test_shape_keys_that_the_person_renamed_do_not_move_twice(copy: bpy.types.Object, others: bool) -> None:
    if others:
        baked(copy, keys_of(1, 1, 1), 20, "b")
    baked(copy, keys_of(1, 1, 1, 1, 1), 1, "a")
    copy.data.shape_keys.key_blocks["FreeTalk 01"].name = "up"
    theirs = copy.shape_key_add(name="theirs")
    theirs.value = 0.25
    theirs.keyframe_insert("value", frame=3)
    baked(copy, keys_of(1, 1, 1, 1, 1), 1, "a")
    curves = {curve.data_path: curve for curve in compat.fcurves(copy.data.shape_keys)}
    moving = [block for block in copy.data.shape_keys.key_blocks if block.path_from_id("value") in curves]
    assert [block.name for block in moving] == (["up", "theirs"] if others else ["theirs", "FreeTalk 01"])
    for frame in [3, 21] if others else [3]:
        at = {block.name: curves[block.path_from_id("value")].evaluate(frame) for block in moving}
        assert sum(at.values()) == pytest.approx(1.25)


def test_the_preview_takes_the_place_of_renamed_shape_keys_too(copy: bpy.types.Object) -> None:
    baked(copy, keys_of(1, 1, 1, 1, 1), 1, "a")
    copy.data.shape_keys.key_blocks["FreeTalk 01"].name = "up"
    assert [block.name for block in takes.driven(copy)] == ["up"]


def test_a_take_whose_last_line_is_taken_out_is_as_it_was_and_without_any_it_rests(copy: bpy.types.Object) -> None:
    def keyed() -> list[np.ndarray]:
        (curve,) = compat.fcurves(copy.data.shape_keys)
        return [*curve_keys.read(curve, "co", "interpolation").values()]

    baked(copy, keys_of(1, 1, 1), 20, "a", ease=5)
    take, (block,) = takes.current(copy), bake.own_blocks(copy)
    before = keyed()
    baked(copy, keys_of(1, 0.5, 1), 60, "b", ease=5)
    takes.silence(copy, take, spoken.lines(take)[1:])
    assert all(map(np.array_equal, keyed(), before)), "it comes from rest and goes back as slowly"
    bpy.context.scene.frame_set(21)
    assert block.value == 1
    takes.silence(copy, take, spoken.lines(take))
    bpy.context.scene.frame_set(22)
    assert block.value == 0 and not spoken.lines(take), "the mouth does not stay where it was"


def test_a_take_that_is_deleted_leaves_those_that_a_duplicate_shares_as_they_are(copy: bpy.types.Object) -> None:
    baked(copy, keys_of(1, 1, 1), 1, "a")
    first = takes.current(copy)
    second, other = takes.create(copy), keys_of(1, 1, 1)
    other.shapes[:, ::2] = -1
    baked(copy, other, 1, "b")
    twin = copy.copy()
    twin.data = copy.data.copy()
    bpy.context.scene.collection.objects.link(twin)
    assert takes.listed(twin) == takes.listed(copy) == [first, second]
    takes.delete(copy, second)
    bake.prune(copy)
    assert len(bake.own_blocks(copy)) == 1 and takes.listed(twin) == [first, second]
    moved = []
    for take in (second, first):
        takes.choose(twin, take)
        for frame in (1, 2):
            bpy.context.scene.frame_set(frame)
        moved.append([block.value for block in bake.own_blocks(twin)])
    assert moved == [[0, 1], [1, 0]]
