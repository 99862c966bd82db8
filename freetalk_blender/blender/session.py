"""What this run of Blender remembers: bound faces, so that another take or a moved slider need not bind again.

Nothing of it is saved. Kept by content, so undo, renaming and reopening cannot make it wrong.
"""

import hashlib
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from ..core.face import Face
from ..core.voice import performance
from .sound import Clip, Source, changed

_faces: OrderedDict[str, tuple[str, Face]] = OrderedDict()
#: Sounds that were read; a few, so that a moved slider need not read its own again.
_clips: OrderedDict[tuple, Clip] = OrderedDict()
_CLIPS = 4
_limit = 1024 * 2**20
#: Jobs read and write in a thread, the panel in another.
_lock = threading.Lock()
#: What the networks ran on last, as read back from onnxruntime; empty before they did.
device = ""


def fingerprint(*parts: np.ndarray | str | bool | None) -> str:
    """A hash of arrays and words."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        digest.update(b"|")
    return digest.hexdigest()


def face(key: str, detail: str | None = None) -> Face | None:
    """The bound face of that fingerprint; None where it is not remembered, or not with that detail."""
    with _lock:
        kept, bound = _faces.get(key, ("", None))
        if bound is None or detail not in (None, kept):
            return None
        _faces.move_to_end(key)
        return bound


def keep(key: str, bound: Face, detail: str = "") -> None:
    """Remember a bound face; the ones not used for longest give way. The latest is kept whatever its size."""
    with _lock:
        _faces[key] = detail, bound
        _faces.move_to_end(key)
        _forget()


def _forget() -> None:
    while len(_faces) > 1 and _bytes() > _limit:
        _faces.popitem(last=False)


def clip(source: Source) -> Clip:
    """The samples of a source, read again only where its file changed; AudioError where they cannot be read."""
    content = source.content
    key = (source, changed(content) if isinstance(content, Path) else 0)
    with _lock:
        known = _clips.pop(key, None)
    read = source.clip() if known is None else known
    with _lock:
        _clips[key] = read
        while len(_clips) > _CLIPS:
            _clips.popitem(last=False)
    return read


def ran_on(name: str) -> None:
    """Remember what the networks ran on."""
    global device
    with _lock:
        device = name


def limit(size: int) -> None:
    """Bytes that faces and heard speech may take, each; what is more is forgotten at once."""
    global _limit
    with _lock:
        _limit = size
        _forget()
    performance.limit_cache(size)


def used() -> int:
    """Bytes in use."""
    with _lock:
        return _bytes() + sum(known.samples.nbytes for known in _clips.values()) + performance.cache_size()


def clear() -> None:
    """Forget it all."""
    with _lock:
        _faces.clear()
        _clips.clear()
    performance.clear_cache()


def _bytes() -> int:
    """Bytes that faces take."""
    return sum(bound.nbytes for _, bound in _faces.values())
