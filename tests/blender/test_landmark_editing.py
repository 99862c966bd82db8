"""Landmarks found, dragged on the surface, mirrored, reset, kept."""

from pathlib import Path

import bmesh
import bpy
import numpy as np
import pytest
from baking import rigged
from mathutils import Matrix
from scipy.spatial import cKDTree

from freetalk_blender.blender import landmark_points, marks, meshes, placed, takes
from freetalk_blender.blender.ui import request
from freetalk_blender.core.landmarks import COUNT, MIRRORED, Landmarks


def drag(number: int, offset: tuple[float, float, float]) -> None:
    """Move a point as G does."""
    item = landmark_points.points()[number]
    item.location = (np.array(item.location) + offset).tolist()
    bpy.context.view_layer.update()


def locations() -> np.ndarray:
    """(68,3) where the points are."""
    return np.array([item.location for item in landmark_points.points()])


def test_points_lie_on_the_surface_and_start_at_the_landmarks(talker: bpy.types.Object) -> None:
    known = placed.points(talker)
    assert bpy.ops.freetalk.landmarks_edit() == {"FINISHED"}
    assert len(landmark_points.points()) == COUNT
    assert np.abs(landmark_points.places() - known).max() < 3, "mm: the bare face is coarser than the landmarks"
    drag(30, (0, 5, 40))
    found = landmark_points.places()[30]
    assert np.linalg.norm(found - known[30]) > 1 and cKDTree(meshes.vertices(talker.data)).query(found)[0] < 8


def test_a_dragged_point_takes_its_counterpart_along_as_in_a_mirror(talker: bpy.types.Object) -> None:
    bpy.ops.freetalk.landmarks_edit()
    before = locations()
    drag(48, (-4, 2, 1))
    moved = locations() - before
    assert set(np.flatnonzero(np.abs(moved).max(1) > 1e-4)) == {48, MIRRORED[48]}
    assert moved[54][0] > 3 and moved[54][1] > 1, "mirrored across the face, which stands almost along the axes"
    bpy.context.scene.freetalk.mirror = False
    drag(36, (-2, 0, 0))
    again = locations() - before
    assert np.abs(again[45]).max() < 1e-4


def test_a_point_that_was_deleted_leaves_the_others_their_mirror(talker: bpy.types.Object) -> None:
    bpy.ops.freetalk.landmarks_edit()
    points = landmark_points.points()
    before = {item: np.array(item.location) for item in points}
    for gone in (points[30], points[45]):
        bpy.data.objects.remove(gone)
        bpy.context.view_layer.update()
    for number in (36, 48):
        points[number].location.x -= 4
        bpy.context.view_layer.update()
    there = landmark_points.points()
    assert [item[landmark_points.NUMBER] for item in there if not np.allclose(item.location, before[item])] == [
        36,
        48,
        54,
    ]


def test_of_two_counterparts_that_are_dragged_at_once_neither_takes_the_other_along(talker: bpy.types.Object) -> None:
    bpy.ops.freetalk.landmarks_edit()
    points = landmark_points.points()
    places = {number: np.array(points[number].location) + (1, number / 10, 0) for number in (48, MIRRORED[48])}
    for number, place in places.items():
        points[number].location = place.tolist()
    bpy.context.view_layer.update()
    assert all(np.allclose(points[number].location, place, atol=1e-4) for number, place in places.items())


def test_done_keeps_the_points_and_cancel_does_not(talker: bpy.types.Object) -> None:
    known = placed.points(talker)
    bpy.ops.freetalk.landmarks_edit()
    drag(57, (0, -3, 0))
    assert bpy.ops.freetalk.landmarks_cancel() == {"FINISHED"}
    assert np.array_equal(placed.points(talker), known) and landmark_points.editing() is None
    bpy.ops.freetalk.landmarks_edit()
    drag(57, (0, -3, 0))
    assert bpy.ops.freetalk.landmarks_done() == {"FINISHED"}
    assert 1 < np.linalg.norm(placed.points(talker)[57] - known[57]) < 5
    assert [item.name for item in bpy.data.objects] == ["head"] and len(bpy.data.collections) == 0


def morph(item: bpy.types.Object) -> None:
    """A shape key in use, which makes the face taller."""
    rest = meshes.vertices(item.data)
    for name in ("Basis", "taller"):
        block = item.shape_key_add(name=name)
    block.points.foreach_set("co", (rest + rest * (0, 0.15, 0)).astype(np.float32).ravel())
    block.value = 1.0


def turn_by_bone(item: bpy.types.Object) -> None:
    """An armature turns the head by 23 degrees."""
    bone = rigged(item, "head", bpy.context.scene.collection).pose.bones["head"]
    bone.matrix = Matrix.Rotation(0.4, 4, "Y") @ bone.matrix
    bpy.context.view_layer.objects.active = item


def test_in_edit_mode_done_says_to_leave_it(talker: bpy.types.Object) -> None:
    bpy.ops.freetalk.landmarks_edit()
    with bpy.context.temp_override(active_object=talker, object=talker):
        bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="Switch to Object Mode first"):
        bpy.ops.freetalk.landmarks_done()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert bpy.ops.freetalk.landmarks_done() == {"FINISHED"}
    with pytest.raises(RuntimeError, match="Press Edit Points first"):
        bpy.ops.freetalk.landmarks_done()


@pytest.mark.parametrize("deform", [turn_by_bone, morph])
def test_points_of_a_face_that_something_deforms_lie_on_it_at_rest_and_stay_where_none_moves_them(
    talker: bpy.types.Object, tmp_path: Path, deform
) -> None:
    deform(talker)
    talker.location.x = 40
    bpy.context.view_layer.update()
    rest, known = meshes.vertices(talker.data), placed.points(talker)
    assert np.abs(meshes.posed(talker) - rest).max() > 20
    bpy.ops.freetalk.landmarks_edit()
    surface = landmark_points.points()[0].constraints[0].target
    assert surface.visible_get() and not talker.visible_get() and surface.matrix_world == talker.matrix_world
    assert np.array_equal(meshes.posed(surface), rest) and surface.hide_render
    assert np.abs(landmark_points.places() - known).max() < 3, "mm: the bare face is coarser than the landmarks"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "editing.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "editing.blend"))
    bpy.context.scene.freetalk.mirror = False
    drag(57, (0, -3, 0))
    talker = landmark_points.editing()
    assert bpy.ops.freetalk.landmarks_done() == {"FINISHED"}
    moved = np.linalg.norm(placed.points(talker) - known, axis=1)
    assert set(np.flatnonzero(moved)) == {57} and 1 < moved[57] < 5
    assert talker.visible_get() and len(bpy.data.meshes) == 1
    bpy.ops.freetalk.landmarks_edit()
    bpy.ops.freetalk.landmarks_cancel()
    assert talker.visible_get() and len(bpy.data.meshes) == 1


def test_keys_of_points_go_with_them(talker: bpy.types.Object) -> None:
    """As Auto Keying makes them."""
    mine = bpy.data.actions.new("mine")
    mine.use_fake_user = True
    assert bpy.ops.freetalk.landmarks_edit() == {"FINISHED"}
    first, second, third = landmark_points.points()[:3]
    for point in (first, second):
        point.keyframe_insert("location", frame=1)
    third.animation_data_create().action = mine
    assert len(bpy.data.actions) == 3
    assert bpy.ops.freetalk.landmarks_done() == {"FINISHED"}
    assert list(bpy.data.actions) == [mine]


def test_reset_puts_selected_points_back_and_all_where_none_is_selected(talker: bpy.types.Object) -> None:
    bpy.ops.freetalk.landmarks_edit()
    bpy.context.scene.freetalk.mirror = False
    start = locations()
    drag(48, (-3, 0, 0))
    drag(54, (3, 0, 0))
    landmark_points.points()[48].select_set(True)
    bpy.ops.freetalk.landmarks_reset()
    moved = np.abs(locations() - start).max(1)
    assert moved[48] == 0 and moved[54] > 1
    landmark_points.points()[48].select_set(False)
    bpy.ops.freetalk.landmarks_reset()
    assert np.array_equal(locations(), start)


def test_reset_puts_the_mirrored_counterpart_of_a_selected_point_back(talker: bpy.types.Object) -> None:
    bpy.ops.freetalk.landmarks_edit()
    start = locations()
    drag(48, (-3, 0, 0))
    drag(36, (-1, 0, 0))
    landmark_points.points()[48].select_set(True)
    bpy.ops.freetalk.landmarks_reset()
    assert set(np.flatnonzero(np.abs(locations() - start).max(1))) == {36, MIRRORED[36]}


def test_reset_holds_where_auto_keying_has_keyed_the_drag(talker: bpy.types.Object) -> None:
    current = bpy.context.scene
    bpy.ops.freetalk.landmarks_edit()
    start = locations()
    for number in (48, 30):
        drag(number, (-3, 0, 0))
        landmark_points.points()[number].keyframe_insert("location", frame=current.frame_current)
    kept = locations()[30]
    landmark_points.points()[48].select_set(True)
    bpy.ops.freetalk.landmarks_reset()
    current.frame_set(current.frame_current + 1)
    assert set(np.flatnonzero(np.abs(locations() - start).max(1))) == {30} and np.array_equal(locations()[30], kept)
    assert len(bpy.data.actions) == 1


def test_editing_shows_the_original_and_gives_everything_back(talker: bpy.types.Object) -> None:
    bpy.ops.freetalk.animate()
    (copy,) = marks.all_copies()
    assert talker.hide_get() and not copy.hide_get()
    bpy.ops.freetalk.landmarks_edit()
    assert not talker.hide_get() and copy.hide_get() and talker.hide_select
    assert not bpy.ops.freetalk.animate.poll() and not bpy.ops.freetalk.detect.poll()
    bpy.ops.freetalk.landmarks_done()
    assert talker.hide_get() and not copy.hide_get() and not talker.hide_select
    assert bpy.context.view_layer.objects.active is copy and copy.select_get()


def test_a_face_that_the_person_hid_is_hidden_after_it_and_one_whose_copy_is_gone_is_not(
    talker: bpy.types.Object,
) -> None:
    talker.hide_set(True)
    bpy.ops.freetalk.landmarks_edit()
    assert not talker.hide_get()
    bpy.ops.freetalk.landmarks_cancel()
    assert talker.hide_get()
    talker.hide_set(False)
    bpy.ops.freetalk.animate()
    bpy.ops.freetalk.landmarks_edit()
    bpy.data.objects.remove(marks.all_copies()[0])
    bpy.ops.freetalk.landmarks_cancel()
    assert not talker.hide_get()


def test_detect_finds_and_checks_and_other_landmarks_make_another_cut(talker: bpy.types.Object) -> None:
    bpy.ops.freetalk.animate()
    talker.data.uv_layers.new(name="UVMap")
    assert bpy.ops.freetalk.detect() == {"FINISHED"}
    sure = placed.confidence(talker)
    assert sure.shape == (COUNT,) and sure.mean() > 0.5
    assert {"face", "lips", "eyes", "texture"} <= {finding.topic for finding in placed.findings(talker)}
    before = marks.all_copies()[0].name_full
    assert bpy.ops.freetalk.animate() == {"FINISHED"} and len(marks.all_copies()) == 1
    assert before == marks.all_copies()[0].name_full


def test_parts_worth_a_look_are_named_until_a_person_has_looked(talker: bpy.types.Object) -> None:
    sure = np.ones(COUNT)
    sure[[16, 43]] = 0.3
    placed.keep(talker, Landmarks(placed.points(talker), confidence=sure))
    assert placed.doubtful_parts(talker) == ("the left side of the jaw", "the left eye's upper lid")
    placed.keep(talker, Landmarks(placed.points(talker)))
    assert placed.doubtful_parts(talker) == ()


def test_landmarks_that_were_found_stay_known_as_found(
    talker: bpy.types.Object, capfd: pytest.CaptureFixture[str]
) -> None:
    sure = np.ones(COUNT)
    sure[43] = 0.3
    placed.keep(talker, Landmarks(placed.points(talker), confidence=sure))
    uncertain = "Some landmarks are uncertain: check the left eye's upper lid."
    bpy.ops.freetalk.animate()
    assert uncertain in capfd.readouterr().out
    bpy.ops.freetalk.landmarks_edit()
    bpy.ops.freetalk.landmarks_done()
    assert np.array_equal(placed.confidence(talker), np.ones(COUNT)), "a person has looked, and moved none"
    bpy.ops.freetalk.animate()
    assert uncertain not in capfd.readouterr().out
    bpy.ops.freetalk.landmarks_edit()
    drag(57, (0, -3, 0))
    bpy.ops.freetalk.landmarks_done()
    assert placed.confidence(talker) is None, "a person placed them"


def test_a_look_at_points_that_fit_costs_no_take(talker: bpy.types.Object, capfd: pytest.CaptureFixture[str]) -> None:
    placed.keep(talker, Landmarks(placed.points(talker), confidence=np.full(COUNT, 0.7)))
    bpy.ops.freetalk.animate()
    bpy.ops.freetalk.take_new()
    bpy.ops.freetalk.animate()
    copy, before = marks.copy_of(talker), placed.confidence(talker)
    kept = takes.listed(copy)
    bpy.ops.freetalk.landmarks_edit()
    bpy.ops.freetalk.landmarks_done()
    assert not np.array_equal(placed.confidence(talker), before), "a person has looked"
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert marks.copy_of(talker) == copy and takes.listed(copy) == kept and len(kept) == 2
    assert "The face changed" not in capfd.readouterr().out


def test_takes_that_other_landmarks_cost_are_told(talker: bpy.types.Object, capfd: pytest.CaptureFixture[str]) -> None:
    bpy.ops.freetalk.animate()
    bpy.ops.freetalk.take_new()
    bpy.ops.freetalk.animate()
    assert len(takes.listed(marks.all_copies()[0])) == 2
    capfd.readouterr()
    bpy.ops.freetalk.detect()
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert len(takes.listed(marks.all_copies()[0])) == 1
    assert "its 2 earlier takes are gone; Undo brings them back" in capfd.readouterr().out


def test_two_faces_in_one_scene_do_not_disturb_each_other(talker: bpy.types.Object) -> None:
    other = bpy.data.objects.new("twin", talker.data.copy())
    bpy.context.scene.collection.objects.link(other)
    other.location.x = 300
    bpy.context.view_layer.update()
    bpy.ops.freetalk.animate()
    bpy.context.scene.freetalk.face = other
    placed.keep(other, placed.Landmarks(placed.points(talker)))
    bpy.context.scene.freetalk.happy = 1.0
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert sorted(copy.name for copy in marks.all_copies()) == ["head FreeTalk", "twin FreeTalk"]
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert [copy.name for copy in marks.all_copies()] == ["head FreeTalk"]
    assert bpy.context.scene.freetalk.sound_file, "the settings stay as long as another face talks"


def test_points_of_a_face_that_was_deleted_go_when_the_next_face_is_edited(talker: bpy.types.Object) -> None:
    other = talker.copy()
    bpy.context.scene.collection.objects.link(other)
    assert bpy.ops.freetalk.landmarks_edit() == {"FINISHED"}
    bpy.data.objects.remove(talker)
    bpy.context.scene.freetalk.face = other
    assert bpy.ops.freetalk.landmarks_edit() == {"FINISHED"}
    assert landmark_points.editing() == other and len(landmark_points.points()) == COUNT
    assert bpy.ops.freetalk.landmarks_cancel() == {"FINISHED"}
    assert not [item for item in bpy.data.collections if item.name.startswith("FreeTalk")]


def test_landmarks_of_a_mesh_that_was_scaled_since_are_found_anew_or_asked_for(talker: bpy.types.Object) -> None:
    vertices, points = meshes.vertices(talker.data), placed.points(talker)

    def put(places: np.ndarray) -> None:
        talker.data.vertices.foreach_set("co", np.ascontiguousarray(places, np.float32).ravel())
        talker.data.update()

    sculpted = vertices.copy()
    sculpted[np.linalg.norm(vertices - points[57], axis=1) < 30] += (0, -5, 5)
    sculpted[0] += 1000
    put(sculpted)
    assert placed.fit(talker), "a chin that was sculpted and a vertex gone astray"
    without = vertices.copy()
    without[cKDTree(vertices).query(points)[1][:3]] = np.nan
    put(without)
    assert placed.fit(talker), "vertices that lie nowhere"
    turned = vertices @ np.array(Matrix.Rotation(np.radians(5), 3, "X")).T
    for applied in (0.5 * vertices, 1.05 * vertices, turned, vertices + (0, 10, 0)):
        put(applied)
        assert not placed.fit(talker)
    put(0.5 * vertices)
    told = "The mesh of head changed since its landmarks were placed; press Detect Again"
    for operator in (bpy.ops.freetalk.animate, bpy.ops.freetalk.landmarks_edit):
        with pytest.raises(RuntimeError, match=told):
            operator()
    placed.keep(talker, Landmarks(0.5 * points, confidence=np.ones(COUNT)))
    put(vertices)
    assert request.read_scan(bpy.context, talker).landmarks is None, "FreeTalk finds them anew"
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    assert np.abs(placed.points(talker) - points).max() < 30 and placed.fit(talker)


def test_landmarks_of_a_mesh_with_other_vertices_stay_where_there_is_skin(talker: bpy.types.Object) -> None:
    mesh = talker.data
    points = placed.points(talker)
    cut = bmesh.new()
    cut.from_mesh(mesh)
    far = [vertex for vertex in cut.verts if (np.array(vertex.co) - points[30])[1] > 60]
    bmesh.ops.delete(cut, geom=far, context="VERTS")
    cut.to_mesh(mesh)
    assert len(far) > 0 and placed.fit(talker), "the forehead was cut off"
    cut.free()
    mesh.transform(Matrix.Scale(0.01, 4))
    assert not placed.fit(talker)
