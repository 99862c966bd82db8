"""Faces, teeth and hair of another file, linked or overridden."""

from pathlib import Path

import bpy
import numpy as np
from baking import animate, from_library, override, teeth_behind

from freetalk_blender.blender import cleanup, linked, marks, parts, placed, scene
from freetalk_blender.blender.ui import chosen


def test_a_face_in_another_files_collection_talks_in_the_scenes_own(talker: bpy.types.Object, tmp_path: Path) -> None:
    current, character = bpy.context.scene, from_library([talker], tmp_path / "hero.blend")
    current.collection.children.link(character)
    face = current.freetalk.face = character.objects[0]
    assert animate(face).users_collection == (current.collection,) and face.hide_get()


def test_teeth_of_another_file_are_not_joined(talker: bpy.types.Object, tmp_path: Path) -> None:
    teeth = teeth_behind(talker, placed.points(talker), "teeth")
    bpy.context.view_layer.update()
    assert [(part.name, part.joinable) for part in parts.around(talker)] == [("teeth", True)]
    bpy.data.libraries.write(str(tmp_path / "teeth.blend"), {teeth})
    bpy.data.objects.remove(teeth)
    with bpy.data.libraries.load(str(tmp_path / "teeth.blend"), link=True) as (there, here):
        here.objects = there.objects
    bpy.context.scene.collection.objects.link(bpy.data.objects["teeth"])
    bpy.context.view_layer.update()
    assert [(part.name, part.joinable) for part in parts.around(talker)] == [("teeth", False)]


def test_an_overridden_face_is_known_again_when_the_file_is_opened(talker: bpy.types.Object, tmp_path: Path) -> None:
    """With its teeth, which are another object of the character; Blender saves no custom property of an override."""
    teeth, known = teeth_behind(talker, placed.points(talker), "teeth"), placed.landmarks(talker)
    placed.forget(talker)
    character, current = from_library([talker, teeth], tmp_path / "hero.blend"), bpy.context.scene
    override(character)
    face, teeth = (current.objects[name] for name in ("head", "teeth"))
    assert face.override_library and teeth.override_library
    placed.keep(face, known)
    current.freetalk.face = face
    assert len(animate(face).data.vertices) > len(face.data.vertices) + len(teeth.data.vertices)
    for _ in range(2):
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        assert marks.KEPT not in bpy.context.scene
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    face, teeth, copy = (bpy.data.objects[name] for name in ("head", "teeth", "head FreeTalk"))
    assert marks.original_of(copy) == face and marks.copy_of(face) == copy == scene.talking_object()
    assert np.allclose(placed.points(face), known.points) and chosen.face(bpy.context) == face
    assert animate(face) == copy and marks.all_copies() == [copy], "the same copy goes on talking"
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    assert all(item.visible_get() and not item.hide_render for item in (face, teeth)) and not list(cleanup.found())


def test_overridden_hair_knows_what_it_grew_on_when_the_file_is_opened(empty: bpy.types.Scene, tmp_path: Path) -> None:
    hair = bpy.data.hair_curves.new("hair")
    bpy.data.libraries.write(str(tmp_path / "hero.blend"), {hair}, fake_user=True)
    bpy.data.hair_curves.remove(hair)
    with bpy.data.libraries.load(str(tmp_path / "hero.blend"), link=True) as (there, here):
        here.hair_curves = there.hair_curves
    face = bpy.data.objects.new("face", None)
    grown = bpy.data.objects.new("grown", here.hair_curves[0])
    for item in (face, grown):
        empty.collection.objects.link(item)
    grown.data = grown.data.override_create()
    grown.data[marks.GROWS_ON] = face
    with linked.kept():
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    linked.give_back()
    assert bpy.data.objects["grown"].data[marks.GROWS_ON] == bpy.data.objects["face"]


def test_what_another_file_says_of_its_own_object_since_counts(empty: bpy.types.Scene) -> None:
    face = bpy.data.objects.new("face", None)
    face[marks.CHECKUP] = "new"
    empty[marks.KEPT] = {"0": {"block": face, marks.CHECKUP: "old", marks.NAME: "kept"}}
    linked.give_back()
    assert (face[marks.CHECKUP], face[marks.NAME]) == ("new", "kept") and marks.KEPT not in empty
