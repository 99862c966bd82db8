"""What this run of Blender remembers: bound faces, so that another take or a moved slider need not bind again.

Nothing of it is saved. Kept by content, so undo, renaming and reopening cannot make it wrong.
"""

import hashlib
from collections import OrderedDict
from pathlib import Path

import numpy as np

from ..core import performance
from ..core.face import Face
from .sound import Clip, Source

_faces: OrderedDict[str, Face] = OrderedDict()
#: Sounds that were read; a few, so that a moved slider need not read its own again.
_clips: OrderedDict[tuple, Clip] = OrderedDict()
_CLIPS = 4
_limit = 1024 * 2**20
#: What the networks ran on last, as read back from onnxruntime; empty before they did.
device = ""


def fingerprint(*parts: np.ndarray | str | bool | None) -> str:
    """A hash of arrays and words."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        digest.update(b"|")
    return digest.hexdigest()


def face(key: str) -> Face | None:
    """The bound face of that fingerprint; None where it is not remembered."""
    if key in _faces:
        _faces.move_to_end(key)
    return _faces.get(key)


def keep(key: str, bound: Face) -> None:
    """Remember a bound face; the ones not used for longest give way. The latest is kept whatever its size."""
    _faces[key] = bound
    _faces.move_to_end(key)
    while len(_faces) > 1 and sum(map(_bytes, _faces.values())) > _limit:
        _faces.popitem(last=False)


def clip(source: Source) -> Clip:
    """The samples of a source, read again only where its file changed; AudioError where they cannot be read."""
    content = source.content
    written = content.stat().st_mtime_ns if isinstance(content, Path) and content.is_file() else 0
    key = (source, written)
    if key not in _clips:
        _clips[key] = source.clip()
        while len(_clips) > _CLIPS:
            _clips.popitem(last=False)
    _clips.move_to_end(key)
    return _clips[key]


def limit(size: int) -> None:
    """Bytes that faces and heard speech may take, each."""
    global _limit
    _limit = size
    performance.limit_cache(size)


def used() -> int:
    """Bytes in use."""
    heard = sum(known.samples.nbytes for known in _clips.values()) + performance.cache_size()
    return sum(map(_bytes, _faces.values())) + heard


def clear() -> None:
    """Forget it all."""
    _faces.clear()
    _clips.clear()
    performance.clear_cache()


def _bytes(bound: Face) -> int:
    return bound.binding.matrix.nbytes + bound.mesh.vertices.nbytes
