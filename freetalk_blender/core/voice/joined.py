"""Files of several recordings one after the other, as `cat a.mp3 b.mp3` makes: libsndfile hears the first alone."""

import re
from pathlib import Path
from typing import BinaryIO

#: So much of an mp3 is looked at for the header of its encoder.
_WINDOW = 1 << 12
#: An encoder's header of an mp3: what it says, by bits; and a tag's first ten bytes.
_HEADER = re.compile(rb"(?:Xing|Info)\0\0\0(.)", re.DOTALL)
_TAG = re.compile(rb"ID3[\2-\4].(.)(....)", re.DOTALL)
_SAYS_FRAMES, _SAYS_BYTES = 1, 2
#: A page of Ogg: how long its header is without the list of its parts, and by which bits it begins and ends a stream.
_PAGE, _BEGINS, _ENDS = 27, 2, 4


def is_joined(file: Path) -> bool:
    """Does another recording follow the first in an mp3 or Ogg file? Of an mp3 known where an encoder says its size."""
    with file.open("rb") as stream:
        begin = stream.read(4)
        stream.seek(0)
        return _is_chained(stream) if begin == b"OggS" else _goes_on(stream)


def _is_chained(stream: BinaryIO) -> bool:
    ended = False
    while (page := stream.read(_PAGE)).startswith(b"OggS") and len(page) == _PAGE:
        if ended and page[5] & _BEGINS:
            return True
        ended |= bool(page[5] & _ENDS)
        stream.seek(sum(stream.read(page[-1])), 1)
    return False


def _goes_on(stream: BinaryIO) -> bool:
    start, head = _after_tag(stream, 0)
    header = _HEADER.search(head)
    if header is None or not header[1][0] & _SAYS_BYTES:
        return False
    at = header.end() + (4 if header[1][0] & _SAYS_FRAMES else 0)
    _, after = _after_tag(stream, start + int.from_bytes(head[at : at + 4], "big"))
    return _HEADER.search(after) is not None


def _after_tag(stream: BinaryIO, start: int) -> tuple[int, bytes]:
    """What follows a byte, and where: behind the tag that begins there or soon after, which may hold pictures."""
    stream.seek(start)
    head = stream.read(_WINDOW)
    tag = _TAG.search(head)
    if tag is None:
        return start, head
    size = 0
    for seven in tag[2]:
        size = size << 7 | seven & 127
    start += tag.end() + size
    stream.seek(start)
    return start, stream.read(_WINDOW)
