"""The tongue in speech, heard by a network of its own (onnx_models/tongue.onnx, model card beside it).

Lips do not show what the tongue does: "ee" and "l" look alike but for it.
"""

import numpy as np

from .. import cancel, models
from .speech import CONTEXT, FEATURES

#: What the network answers for each frame, 0 to 1: the tip at the ridge behind the upper teeth (t, d, n, l), the tip
#: between the teeth (th), the body near the palate (k, "ee").
CHANNELS = ("tip up", "tip out", "body up")
#: Frames run at once.
_CHUNK = 3000


def predict(features: np.ndarray, *, device: str = "auto") -> np.ndarray:
    """Speech features (T + 28, 384) at 50 Hz, as `speech.surrounded` answers them -> (T,3) float32, CHANNELS, 0 to 1.

    Raises ModelError where the network is missing, ValueError for another shape.
    """
    frames = len(features) - 2 * CONTEXT
    if features.ndim != 2 or features.shape[1] != FEATURES or frames < 0:
        raise ValueError(f"features must be (T + {2 * CONTEXT},{FEATURES}), not {features.shape}")
    session = models.session("tongue", device)
    pieces = [np.zeros((0, len(CHANNELS)), np.float32)]
    for start in range(0, frames, _CHUNK):
        cancel.check()
        heard = features[start : min(start + _CHUNK, frames) + 2 * CONTEXT]
        pieces.append(session.run(["tongue"], {"features": heard[None]})[0][0])
    return np.concatenate(pieces)
