"""Values one after the other: sampled in between, and the runs in which something holds."""

import numpy as np

#: A frame shows nothing that is further from it than this, and times nearer to each other are one (s).
_NEARER, _SAME_TIME = 0.04, 1e-6


def sample(values: np.ndarray, rate: float, times: np.ndarray) -> np.ndarray:
    """values (T,...) whose row i is second i / rate -> float32 rows at `times` (seconds), linear, held at the ends."""
    position = np.clip(np.asarray(times, float) * rate, 0, len(values) - 1)
    before = np.floor(position).astype(int)
    after = np.minimum(before + 1, len(values) - 1)
    share = (position - before).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    return values[before] + share * (values[after] - values[before])


def runs(holds: np.ndarray) -> np.ndarray:
    """(n,2) first place and end of each run of true ones among (T,)."""
    return np.flatnonzero(np.diff(holds, prepend=False, append=False)).reshape(-1, 2)


def shown_too(holds: np.ndarray, rate: float, frames: int, fps: float) -> np.ndarray:
    """(frames,) seconds that frames show: frame i second i / fps, but what holds between two frames alone is shown by
    the nearer one, the earlier of two as near; holds (T,): row i is second i / rate."""
    times = np.arange(frames) / fps
    first, last = runs(holds).T / rate
    last = last - 1 / rate
    after = np.ceil(np.round(first * fps, 6)).astype(int)
    early, late = first - (after - 1) / fps, after / fps - last
    missed = (late > _SAME_TIME) & (after < frames) & (np.minimum(early, late) <= _NEARER)
    earlier = missed & (early <= late + _SAME_TIME)
    later = missed & ~earlier
    times[after[later]] = last[later]
    times[after[earlier] - 1] = first[earlier]
    return times
