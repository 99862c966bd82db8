"""Values one after the other: sampled in between, and the runs in which something holds."""

import numpy as np


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
