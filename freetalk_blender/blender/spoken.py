"""What is said in a take: its lines, the speech of one sound each, as JSON on the action."""

import json
import os.path
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import bpy
import numpy as np

from .marks import TAKE

#: How the source of a line begins that a sound file says, or a strip of the sequencer.
_FILE, _STRIP = "file ", "strip "


@dataclass(frozen=True)
class Line:
    """One sound's speech in a take: where it came from, its first scene frame, how many frames it has, and in how many
    more the face comes from rest before it and goes back to rest after it; 0 where it does not.

    source: "strip " and what FreeTalk calls it, or "file " and its path; a command calls it after the face.
    sliders, said: what it was baked from, as staleness.asked tells it; felt: the emotions (3,8) that its own sliders
    begin with, that it begins with and that it ends with, as JSON; each empty where a command baked it.
    """

    source: str
    start: float
    frames: int
    before: float = 0.0
    after: float = 0.0
    sliders: str = ""
    said: str = ""
    felt: str = ""

    @property
    def end(self) -> float:
        """The last frame."""
        return self.start + self.frames - 1

    @property
    def reach(self) -> tuple[float, float]:
        """The frames before and after it at which the face rests; its own first and last where it does not."""
        return self.start - self.before, self.end + self.after

    @property
    def told(self) -> str:
        """Where it came from, in a few words."""
        return file_named(self.source, bpy.path.basename)

    @property
    def is_file(self) -> bool:
        """Does a sound file say it?"""
        return self.source.startswith(_FILE)

    @property
    def is_strip(self) -> bool:
        """Does a strip of the sequencer say it?"""
        return self.source.startswith(_STRIP)

    def is_of(self, source: str) -> bool:
        """Does that source say it, however the path of a file is written?"""
        return file_named(self.source, _whole) == file_named(source, _whole)

    def replaces(self, other: "Line") -> bool:
        """Is it the same sound, or one for the same place: do both begin there, or share half of the longer one?"""
        shared = min(self.end, other.end) - max(self.start, other.start) + 1
        together = abs(self.start - other.start) < 1 or 2 * shared >= max(self.frames, other.frames)
        return self.is_of(other.source) or together


def _whole(path: str) -> str:
    """A path as it is the same wherever it is named from."""
    return os.path.normpath(bpy.path.abspath(path))


def lines(take: bpy.types.Action) -> list[Line]:
    """What is said in a take."""
    return [Line(**entry) for entry in json.loads(take[TAKE])]


def keep(take: bpy.types.Action, said: list[Line]) -> None:
    """Let these be all of a take's lines."""
    take[TAKE] = json.dumps([asdict(line) for line in said])


def name_files(take: bpy.types.Action, named: Callable[[str], str]) -> None:
    """The sound files that say a take's lines have other names, as `named` of a path tells."""
    keep(take, [replace(line, source=file_named(line.source, named)) for line in lines(take)])


def file_named(source: str, named: Callable[[str], str]) -> str:
    """The source of a line with another name of its sound file, where it has one."""
    return f"{_FILE}{named(source.removeprefix(_FILE))}" if source.startswith(_FILE) else source


def kept(take: bpy.types.Action, line: Line) -> list[Line]:
    """Those of a take's lines that stay beside a new one."""
    return _beside(lines(take), line)


def _beside(said: list[Line], line: Line) -> list[Line]:
    return [known for known in said if not line.replaces(known)]


def felt_before(take: bpy.types.Action, line: Line) -> np.ndarray | None:
    """(8,) the emotion that the line ends with from which another goes on in a take; None where there is none."""
    before = _before(lines(take), line)
    return np.array(json.loads(before.felt)[2], np.float32) if before is not None and before.felt else None


def is_rejoined(said: list[Line], line: Line) -> bool:
    """Was a line baked to begin with another emotion than the one before it ends with now, or did that one take the
    place of the change since? said: the lines of its take."""
    (own, begins, _), before = json.loads(line.felt), _before(said, line)
    changes = not np.allclose(begins, own, atol=1e-4)
    if before is None or not before.felt:
        return changes
    written_over = changes and before.end > line.start and said.index(before) > said.index(line)
    return written_over or not np.allclose(begins, json.loads(before.felt)[2], atol=1e-4)


def _before(said: list[Line], line: Line) -> Line | None:
    """The line, of those said in a take, from which another goes on, as the face does not rest between them; None
    where there is none."""
    earlier = [known for known in _beside(said, line) if known.start < line.start <= max(known.reach[1], known.end + 1)]
    return max(earlier, key=lambda known: known.end, default=None)


def note(take: bpy.types.Action, sliders: str, said: str, felt: str) -> None:
    """Keep what the line written last was baked from."""
    *others, last = lines(take)
    keep(take, [*others, replace(last, sliders=sliders, said=said, felt=felt)])


def torn(stay: list[Line], gone: list[Line], new: Line | None = None) -> list[Line]:
    """Lines that stay where others go: of those that shared frames with one that goes, and have no keys there any more,
    nothing is known that they were baked from, so that they ask for it. new: the line that comes, with keys."""
    return [_unknown(line) if any(_loses(line, other, new) for other in gone) else line for line in stay]


def _loses(line: Line, other: Line, new: Line | None) -> bool:
    """Do two lines share more frames than the one in which a cut meets, and not all of them with a new one?"""
    first, last = max(line.start, other.start), min(line.end, other.end)
    return last - first > 1 and not (new is not None and new.start <= first and last <= new.end)


def _unknown(line: Line) -> Line:
    """A line that was baked from the same sound, nobody knows where and how fast."""
    if not line.said:
        return line
    sound, *rest = json.loads(line.said)
    return replace(line, said=json.dumps([sound, *(None for _ in rest)]))


def replaced(take: bpy.types.Action, line: Line) -> list[tuple[float, float]]:
    """The spans of a take, first and last frame, whose keys a new line takes the place of; so it does of those at rest
    beside lines, which within another are that line's own."""
    said, others = lines(take), kept(take, line)
    spans = [(known.start, known.end) for known in [*said, line] if known not in others]
    beside = [at for known in said for at in known.reach if not any(each.start <= at <= each.end for each in said)]
    return spans + [(at, at) for at in beside]


def rests(said: list[Line]) -> list[float]:
    """Frames at which the face rests beside lines: not within another, nor before it came to rest after one."""
    found = []
    for line in said:
        first, last = line.reach
        if line.before and not any(other.start < line.start and other.reach[1] >= first for other in said):
            found.append(first)
        if line.after and not any(
            other.end > line.end and (other.start <= last or other.reach[0] < last) for other in said
        ):
            found.append(last)
    return found
