"""What FreeTalk writes into a .blend, by name: the one place that knows, so that Remove can take all of it back."""

import json

import bpy
from bpy.app.handlers import persistent

from ..core import arkit
from ..core.mouth.inner_mouth import KEYS as TONGUE_KEYS
from ..core.turns import KEYS as TURNS

#: Names of shape keys, tracks, materials and collections begin so; those of custom properties so.
PREFIX = "FreeTalk"
OWN = "freetalk"
#: The shape key of the live preview.
PREVIEW = f"{PREFIX} preview"
#: Custom properties of a talking copy: its original, its 68 landmarks in its own axes (204 numbers), the fingerprint of
#: what it was bound from, and the name that it was given. Duplicates are called otherwise, and lose that property
#: before the file is saved (`disown`).
ORIGINAL = "freetalk_original"
LANDMARKS = "freetalk_landmarks"
FACE = "freetalk_face"
NAME = "freetalk_name"
#: Custom property of an object that FreeTalk hid, for a talking copy shows it: how it was seen before.
BEFORE = "freetalk_before"
#: Custom property of an object that a talking copy has as a part of its own: that copy's original.
PART_OF = "freetalk_part_of"
#: Custom property of hair curves that are rooted in a talking copy, and of objects that show them: the object that they
#: grow on, that copy's original.
GROWS_ON = "freetalk_grows_on"
#: Custom property of such an object: modifier and identifier of each input that hands the talking copy, and not its
#: original, to geometry nodes, as JSON.
INPUTS = "freetalk_inputs"
#: Custom property of a talking copy: a hash of the sliders that were baked last (of each line: takes).
BAKED = "freetalk_baked"
#: Custom property of a talking copy: which part of which sound was baked last, as JSON.
SAID = "freetalk_said"
#: Custom properties of a talking copy: landmark file, options and landmarks of the face that it was made of, as JSON,
#: and the tolerance of the shape keys that were baked last; a command writes neither.
MADE = "freetalk_made"
TOLERANCE = "freetalk_tolerance"
#: Custom property of a talking copy while it shows the live preview: names of the shape keys that it takes the place of
#: and that the person had muted, as JSON.
MUTED = "freetalk_muted"
#: Custom properties of a talking copy: which set of shape keys was baked last (core.key_sets), and the names of its
#: shape keys that have a meaning of their own, such as ARKit's, by these meanings, as JSON.
KEY_SET = "freetalk_key_set"
NAMED = "freetalk_named"
#: Custom property of a talking copy: names of the person's own shape keys that its takes move, as JSON.
LENT = "freetalk_lent"
#: Custom property of a talking copy: the last frame of the scene before the take, and what the take made of it.
RANGE = "freetalk_range"
#: Custom property of a talking copy: 9 numbers, from its own axes to those in which the face had its true proportions
#: when the copy was made.
SHAPE = "freetalk_shape"
#: Custom property of a scene while its file is saved, and of a talking copy: the marks of other files' objects, of that
#: copy's original and of what goes with it (linked.py).
KEPT = "freetalk_kept"
#: All that a talking copy has and its original has not, and BEFORE, which a copy of a hidden one begins with.
OF_COPIES = (
    *(ORIGINAL, LANDMARKS, FACE, NAME, BEFORE, BAKED, SAID, MADE, TOLERANCE, MUTED, KEY_SET, NAMED, LENT, RANGE, SHAPE),
    KEPT,
)
#: Custom properties of a face whose landmarks are known: 204 numbers in its own axes, 68 confidences, and the skin that
#: they lay on: how many vertices the mesh had, 68 of them by number, and their places.
POINTS = "freetalk_points"
CONFIDENCE = "freetalk_confidence"
SKIN = "freetalk_skin"
#: Custom property of a face that was looked at: the findings of its check-up, as JSON.
CHECKUP = "freetalk_checkup"
#: Custom property of a strip that was used: the name by which FreeTalk knows it, which renaming does not change.
STRIP = "freetalk_strip"
#: Custom property of a strip that FreeTalk put into the sequencer: the source that is heard there; and of a scene whose
#: sequencer it made.
HEARD = "freetalk_heard"
#: Custom property of a strip that the command line put there, which a person may choose as their own: what takes call
#: the line that is heard there.
VOICE = "freetalk_voice"
SEQUENCER = "freetalk_sequencer"
#: Custom property of an action that moves a talking copy: the one of its original that it was copied from.
MOTION = "freetalk_motion"
#: Custom property of an action that is a take: its lines, as JSON.
TAKE = "freetalk_take"


def original_of(item: bpy.types.Object) -> bpy.types.Object:
    """The person's own object behind a talking copy. The object itself where it is no copy, where the person deleted
    the original, and where it duplicates the talking copy: it is a face of its own then."""
    original = item.get(ORIGINAL)
    if original is None or is_deleted(original):
        return item
    return item if not is_deleted(item) and copy_of(original) != item else original


def is_deleted(item: bpy.types.Object) -> bool:
    """Is the object in no collection? Then only a pointer holds it, or nobody has seen it yet. All collections are
    looked through only where it is not in the view layer at hand, seen or hidden there."""
    return not (item.visible_get() or item.hide_get() or item.users_collection)


def copies_of(original: bpy.types.Object) -> list[bpy.types.Object]:
    """The talking copy of an object, and duplicates of it."""
    return [copy for copy in all_copies() if copy[ORIGINAL] == original]


def copy_of(original: bpy.types.Object) -> bpy.types.Object | None:
    """The talking copy of an object; None where it has none any more. Told from duplicates by its name; where all were
    renamed, it is older than they are, or has kept its mark where they were saved."""
    there = [copy for copy in copies_of(original) if not is_deleted(copy)]
    return min(there, key=lambda copy: (NAME not in copy, copy.name != copy.get(NAME), copy.session_uid), default=None)


def all_copies() -> list[bpy.types.Object]:
    """Every talking copy in the file, and every duplicate of one."""
    return [item for item in bpy.data.objects if ORIGINAL in item]


@persistent
def disown(*_: object) -> None:
    """Before the file is saved, which does not keep which of them is older: duplicates lose the name of the copy."""
    for item in all_copies():
        copy = copy_of(item[ORIGINAL]) if item[ORIGINAL] is not None else None
        if copy not in (item, None) and not is_deleted(item):
            item.pop(NAME, None)


def meant_keys(copy: bpy.types.Object) -> dict[str, str]:
    """Those of FreeTalk's shape keys that are called by what they do: this -> name, another where one was taken."""
    return json.loads(copy.get(NAMED, "{}"))


def named_keys(copy: bpy.types.Object) -> list[str]:
    """Their names."""
    return [*meant_keys(copy).values()]


def blocks_of(item: bpy.types.Object) -> bpy.types.bpy_prop_collection | dict:
    """The shape keys of a mesh's object by name; empty where it has none."""
    return item.data.shape_keys.key_blocks if item.data.shape_keys else {}


def lent_keys(copy: bpy.types.Object) -> list[str]:
    """Names of the person's own shape keys, as far as they are there, that a talking copy's takes move."""
    return [name for name in json.loads(copy.get(LENT, "[]")) if name in blocks_of(copy)]


def driven_blocks(item: bpy.types.Object) -> list[bpy.types.ShapeKey]:
    """The shape keys that an object's takes may move: FreeTalk's, and the person's own that were lent."""
    return own_blocks(item) + [blocks_of(item)[name] for name in lent_keys(item)]


def spoken_before(original: bpy.types.Object) -> list[str]:
    """Names of a person's object's shape keys that are FreeTalk's of old: the face talked, was exported and came back.

    Numbered ones (USD has no spaces) and the tongue's, the head's and the eyes' tell; ARKit's beside these are
    FreeTalk's too.
    """
    names = blocks_of(original).keys()
    old = [name for name in names if _is_own_name(name.replace("_", " ")) or name in (*TONGUE_KEYS, *TURNS)]
    return old + [*arkit.meant(names).values()] if old else []


def own_blocks(item: bpy.types.Object) -> list[bpy.types.ShapeKey]:
    """FreeTalk's shape keys among the object's."""
    original, named = item.get(ORIGINAL), set(named_keys(item))
    own = [block for block in blocks_of(item) if _is_own_name(block.name) or block.name in named]
    return [block for block in own if not original or block.name not in blocks_of(original)]


def _is_own_name(name: str) -> bool:
    return name.startswith(f"{PREFIX} ") and name != PREVIEW
