"""What Blender calls by itself: added when the add-on is enabled, taken back when it is disabled.

Handlers and timers left behind at exit hang Blender 4.5 and crash 4.2.
"""

import bpy

from .. import landmark_points, linked, marks, relative_paths, seen
from . import live, waveform

_HANDLERS = (
    ("depsgraph_update_post", landmark_points.follow),
    ("depsgraph_update_post", seen.hidden_where_new),
    ("undo_pre", landmark_points.forget),
    ("redo_pre", landmark_points.forget),
    ("load_pre", landmark_points.forget),
    ("frame_change_pre", live.show),
    ("save_pre", live.put_away),
    ("save_pre", marks.disown),
    ("save_pre", linked.keep),
    ("save_post", linked.let_go),
    ("save_post_fail", linked.let_go),
    ("save_pre", relative_paths.moving),
    ("save_post", relative_paths.moved),
    ("save_post_fail", relative_paths.moved),
    ("render_init", live.put_away),
    ("load_pre", live.forget),
    ("load_pre", waveform.forget),
    ("load_post", linked.give_back),
    ("load_post", live.put_away),
    ("blend_import_pre", linked.importing),
    ("blend_import_post", linked.imported),
    ("depsgraph_update_post", linked.imported),
    ("depsgraph_update_post", linked.found_anew),
    ("blend_import_post", live.put_away),
    ("load_post", seen.hidden_again),
    ("load_post", seen.look_anew),
    ("undo_post", linked.give_back),
    ("redo_post", linked.give_back),
    ("undo_post", live.undone),
    ("redo_post", live.undone),
)


def add() -> None:
    for name, function in _HANDLERS:
        if hasattr(bpy.app.handlers, name):  # 4.2 has no blend_import_...
            getattr(bpy.app.handlers, name).append(function)
    # What a version before this one showed; there is no bpy.data yet. Where a file is opened first, Blender drops a
    # timer that is not persistent, and `remove` no longer finds it.
    bpy.app.timers.register(live.put_away, persistent=True)


def remove() -> None:
    for name, function in _HANDLERS:
        listed = getattr(bpy.app.handlers, name, [])
        if function in listed:
            listed.remove(function)
    if bpy.app.timers.is_registered(live.put_away):
        bpy.app.timers.unregister(live.put_away)
    live.put_away()
    live.forget()
