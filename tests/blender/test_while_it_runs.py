"""What the person does while Animate or Detect works: Blender stays usable meanwhile."""

from collections.abc import Callable
from pathlib import Path

import bpy
import pytest

from freetalk_blender.blender import job, live, marks, takes

#: Lets a call happen when the work is done, before its answer is written.
Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    work = job.Job.run

    def once(change: Callable[[], object]) -> None:
        def run(self: job.Job) -> None:
            monkeypatch.setattr(job.Job, "run", work)
            work(self)
            change()

        monkeypatch.setattr(job.Job, "run", run)

    return once


def test_a_slider_that_was_moved_meanwhile_is_previewed_and_asks_to_be_baked(
    talker: bpy.types.Object, meanwhile: Meanwhile
) -> None:
    settings = bpy.context.scene.freetalk
    meanwhile(lambda: setattr(settings, "happy", 1.0))
    assert bpy.ops.freetalk.animate() == {"FINISHED"}
    copy = marks.copy_of(talker)
    assert live.is_stale(bpy.context)
    live.watch(bpy.context.scene)
    assert live.is_shown(copy)
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    assert not live.is_stale(bpy.context) and not live.is_shown(copy)


def test_a_frame_rate_or_sound_that_was_changed_meanwhile_is_not_what_was_baked(
    talker: bpy.types.Object, meanwhile: Meanwhile, tmp_path: Path
) -> None:
    scene = bpy.context.scene
    meanwhile(lambda: setattr(scene.render, "fps", 50))
    assert bpy.ops.freetalk.animate() == {"FINISHED"} and live.is_stale(bpy.context)
    assert bpy.ops.freetalk.rebake() == {"FINISHED"} and not live.is_stale(bpy.context)
    copy, other = marks.copy_of(talker), tmp_path / "other.wav"
    other.write_bytes(Path(scene.freetalk.sound_file).read_bytes())
    meanwhile(lambda: setattr(scene.freetalk, "sound_file", str(other)))
    assert bpy.ops.freetalk.rebake() == {"FINISHED"}
    scene.freetalk.happy = 1.0
    live.watch(scene)
    assert not live.is_shown(copy), "of another sound than is chosen"
    assert [line.source for line in takes.lines(takes.current(copy))] == ["file short.wav"]
