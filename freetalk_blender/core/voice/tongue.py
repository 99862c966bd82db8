"""The tongue in speech, heard by a network of its own (onnx_models/tongue.onnx, model card beside it).

Lips do not show what the tongue does: "ee" and "l" look alike but for it.
"""

import numpy as np

from .. import cancel, models
from .speech import FEATURES, with_context

#: What the network answers for each frame, 0 to 1: the tip at the ridge behind the upper teeth (t, d, n, l), the tip
#: between the teeth (th), the body near the palate (k, "ee").
CHANNELS = ("tip up", "tip out", "body up")
#: Frames that the network hears to either side of one (280 ms), and frames run at once.
CONTEXT = 14
_CHUNK = 3000


def predict(features: np.ndarray, *, device: str = "auto") -> np.ndarray:
    """Speech features (T,384) at 50 Hz -> (T,3) float32, CHANNELS, 0 to 1.

    Raises ModelError where the network is missing, ValueError for another shape.
    """
    if features.ndim != 2 or features.shape[1] != FEATURES:
        raise ValueError(f"features must be (T,{FEATURES}), not {features.shape}")
    session = models.session("tongue", device)
    pieces = [np.zeros((0, len(CHANNELS)), np.float32)]
    for start in range(0, len(features), _CHUNK):
        cancel.check()
        stop = min(start + _CHUNK, len(features))
        heard = with_context(features, start - CONTEXT, stop + CONTEXT, device)
        pieces.append(session.run(["tongue"], {"features": heard[None]})[0][0])
    return np.concatenate(pieces)
