"""Checkpoints of trainings: whole or not at all, and taken up only by the training that wrote them."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from freetalk_blender.core import atomic
from freetalk_blender.core.errors import FreeTalkError

#: Checksums of what was read of each file, by its name.
Read = Mapping[str, list[int]]


def checksums(path: Path) -> list[int]:
    """Of the arrays in a file of `numpy.savez`."""
    with zipfile.ZipFile(path) as archive:
        return [item.CRC for item in archive.infolist()]


def save(path: Path, state: dict[str, Any], settings: Mapping[str, Any], read: Read) -> None:
    """Write a state, with the settings and the data of its training."""
    with atomic.output(path) as temporary:
        torch.save({**state, "settings": dict(settings), "read": dict(read)}, temporary)


def load(path: Path, settings: Mapping[str, Any], folder: Path, read: Read) -> dict[str, Any] | None:
    """The state in a checkpoint; None where there is none yet.

    FreeTalkError where it is of other settings, or of other data in `folder` than what was read now (more is welcome).
    """
    if not path.exists():
        return None
    state = torch.load(path, weights_only=True)
    then = state.get("settings", {})
    other = [
        f"{name} {then.get(name, 'unknown')}, now {now}" for name, now in settings.items() if then.get(name) != now
    ]
    if other:
        reason = f"with other settings ({'; '.join(other)})"
    elif changed := [name for name, sums in state["read"].items() if read.get(name) != sums]:
        reason = f"on other data ({folder / changed[0]} is not what it was)"
    else:
        return state
    raise FreeTalkError(
        f"{path} was trained {reason}; delete it to begin anew, or give this one a --work folder of its own."
    )
