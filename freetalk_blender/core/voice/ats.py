"""Audio-To-Sparse: speech features, emotion and style to the motion of 68 landmarks, 50 frames a second.

The network (onnx_models/ats.onnx, model card beside it) says how the lips and the jaw move, where lips must touch and
where somebody speaks; emotion, brows and lids are laid over it inside the same graph.
"""

import numpy as np

from .. import cancel, models
from .emotion import EMOTIONS
from .speech import CONTEXT, FEATURES
from .style import AS_PERFORMED, Style

#: What the network detects beside motion, in the order of its output `events`.
EVENTS = ("speech", "bilabial", "labiodental", "rounding")
#: Frames to either side of one whose events shape that one's lips (20 ms beyond what the network hears), and frames run
#: at once.
BESIDE = 1
_CHUNK = 3000


def predict(
    features: np.ndarray,
    emotion: np.ndarray,
    lids: np.ndarray | None = None,
    brows: np.ndarray | None = None,
    *,
    style: Style = AS_PERFORMED,
    device: str = "auto",
) -> np.ndarray:
    """features (T + 28, 384), as `speech.surrounded` answers them, and emotion (T,8) at 50 Hz -> landmark displacement
    (T,68,3) float32, canonical units.

    lids (T,): how far they are shut, 0 to 1; brows (T,): how far emphasis raises them, 0 to 1; both at rest if None;
    style: what changes over time does so in these T frames.
    Raises ModelError where the network is missing, ValueError for shapes that do not fit.
    """
    still = np.zeros(len(emotion), np.float32)
    moved = {"blink": still if lids is None else lids, "brow": still if brows is None else brows}
    return _run(features, emotion, moved, style, "displacement", device)


def events(features: np.ndarray, *, device: str = "auto") -> np.ndarray:
    """features (T + 28, 384) -> (T,4) probabilities of EVENTS: somebody speaks, lips together, lip on teeth, lips
    rounded."""
    frames = max(0, len(features) - 2 * CONTEXT)
    silent = np.zeros((frames, len(EMOTIONS)), np.float32)
    still = np.zeros(frames, np.float32)
    return _run(features, silent, {"blink": still, "brow": still}, AS_PERFORMED, "events", device)


def _run(
    features: np.ndarray,
    emotion: np.ndarray,
    moved: dict[str, np.ndarray],
    style: Style,
    output: str,
    device: str,
) -> np.ndarray:
    """One output of the network over any length: pieces with all the context that a frame needs, so no seams."""
    frames = len(emotion)
    shapes = [features.shape, emotion.shape, *[curve.shape for curve in moved.values()]]
    if shapes != [(frames + 2 * CONTEXT, FEATURES), (frames, len(EMOTIONS)), *[(frames,)] * len(moved)]:
        raise ValueError(
            f"features, emotion, lids, brows must be (T + {2 * CONTEXT},{FEATURES}), (T,{len(EMOTIONS)}), (T,), (T,), "
            f"not {shapes}"
        )
    style.check(frames)
    factors = style.factors(frames)
    session = models.session("ats", device)
    pieces = []
    for answered in range(0, frames, _CHUNK):
        cancel.check()
        start, stop = max(answered - BESIDE, 0), min(answered + _CHUNK + BESIDE, frames)
        inputs = {
            "features": features[start : stop + 2 * CONTEXT],
            "emotion": emotion[start:stop],
            "style": factors[start:stop],
            **{name: curve[start:stop, None] for name, curve in moved.items()},
        }
        fed = {name: np.ascontiguousarray(array[None], np.float32) for name, array in inputs.items()}
        pieces.append(session.run([output], fed)[0][0][answered - start :][:_CHUNK])
    return np.concatenate(pieces)
