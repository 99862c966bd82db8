"""Characters of another file, linked or overridden here, whose library is read again while they talk."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import animate, from_library, override, teeth_behind

from freetalk_blender.blender import cleanup, marks, placed, takes
from freetalk_blender.core.landmarks import Landmarks


@pytest.fixture(params=["linked", "overridden"])
def hero(request: pytest.FixtureRequest, talker: bpy.types.Object, tmp_path: Path) -> bpy.types.Object:
    """The bare face of another file, with teeth that are another object; landmarks are placed by hand in this one."""
    points, current = placed.points(talker), bpy.context.scene
    teeth = teeth_behind(talker, points, "teeth")
    placed.forget(talker)
    character = from_library([talker, teeth], tmp_path / "hero.blend")
    if request.param == "linked":
        current.collection.children.link(character)
    else:
        override(character)
    face = current.objects["head"]
    placed.keep(face, Landmarks(points))
    current.freetalk.face = face
    return face


def reload() -> None:
    """What *Reload* does in the outliner, and the next update."""
    library = bpy.data.libraries[0]
    path = Path(library.filepath)
    words = {"filepath": str(path), "directory": f"{path.parent}/", "filename": path.name}
    assert bpy.ops.wm.lib_reload(library=library.name, **words) == {"FINISHED"}
    bpy.context.view_layer.update()


def resync() -> None:
    """What *Library Override > Troubleshoot > Resync Hierarchy* does in the outliner, and the next update."""
    roots = [each for each in bpy.data.collections if each.override_library]
    if not roots:
        pytest.skip("only overrides are resynced")
    roots[0].override_library.resync(bpy.context.scene, view_layer=bpy.context.view_layer)
    bpy.context.view_layer.update()


def save_and_resync() -> None:
    """Saving overrides what was changed: a resync keeps that renders hide it then, and not that the eye does."""
    path = Path(bpy.data.libraries[0].filepath).with_name("shot.blend")
    assert bpy.ops.wm.save_as_mainfile(filepath=str(path), relative_remap=False) == {"FINISHED"}
    resync()


@pytest.mark.parametrize("read_again", [reload, resync, save_and_resync])
def test_a_face_that_blender_makes_anew_goes_on_as_it_was(hero: bpy.types.Object, read_again) -> None:
    current, known = bpy.context.scene, placed.points(hero)
    animate(hero)
    bpy.ops.freetalk.take_new()
    copy = animate(hero)
    seen = {item.name: (item.visible_get(), item.hide_render) for item in current.objects}
    assert seen["head"] == (False, True)
    read_again()
    face = current.freetalk.face
    assert np.array_equal(placed.points(face), known) and marks.KEPT not in current
    assert {item.name: (item.visible_get(), item.hide_render) for item in current.objects} == seen
    assert animate(face) == copy and len(takes.listed(copy)) == 2
    assert bpy.ops.freetalk.remove() == {"FINISHED"}
    read_again()
    assert all(current.objects[name].visible_get() for name in ("head", "teeth")) and not list(cleanup.found())


def test_landmarks_that_were_dragged_since_are_those_that_come_back(hero: bpy.types.Object) -> None:
    animate(hero)
    known = placed.points(hero) + (0, 0.5, 0)
    placed.keep(hero, Landmarks(known))
    resync()
    assert np.array_equal(placed.points(bpy.context.scene.freetalk.face), known)


@pytest.mark.parametrize("read_again", [reload, resync, save_and_resync])
def test_landmarks_that_were_placed_stay_before_the_face_talks(hero: bpy.types.Object, read_again) -> None:
    known, current = placed.points(hero), bpy.context.scene
    for _ in range(2):
        read_again()
        face = current.freetalk.face
        assert np.array_equal(placed.points(face), known)
    placed.forget(face)
    read_again()
    assert placed.points(current.freetalk.face) is None and marks.KEPT not in current
