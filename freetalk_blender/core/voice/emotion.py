"""Emotions: names, weights, curves, and a point of valence, arousal and dominance turned into weights.

A condition is eight weights >= 0 whose sum is the intensity: 0 is neutral, 1 full, 1.5 exaggerated. The weight of
"neutral" changes nothing; it is there so that a condition may be written down whole.
"""

from collections.abc import Mapping

import numpy as np

from ..errors import FreeTalkError

EMOTIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised", "contempt")
#: Exaggeration ends here.
MAX_INTENSITY = 1.5
#: A change of emotion takes this long (s): onsets of smiles last about half a second (Schmidt et al. 2006, "Movement
#: differences between deliberate and spontaneous facial expressions").
ONSET = 0.5
#: Mean and standard deviation of valence, arousal and dominance, each in [-1, 1]. Source: Russell & Mehrabian 1977,
#: "Evidence for a three-factor theory of emotions". Neutral is not in their table: a narrow class around the origin.
VAD = {
    "neutral": ((0.0, 0.0, 0.0), (0.2, 0.2, 0.2)),
    "happy": ((0.81, 0.51, 0.46), (0.21, 0.26, 0.38)),
    "sad": ((-0.63, -0.27, -0.33), (0.23, 0.34, 0.22)),
    "angry": ((-0.51, 0.59, 0.25), (0.20, 0.33, 0.39)),
    "fearful": ((-0.64, 0.60, -0.43), (0.20, 0.32, 0.27)),
    "disgusted": ((-0.60, 0.35, 0.11), (0.20, 0.41, 0.34)),
    "surprised": ((0.40, 0.67, -0.13), (0.30, 0.27, 0.38)),
    "contempt": ((-0.23, 0.31, 0.18), (0.39, 0.33, 0.29)),
}


class EmotionError(FreeTalkError):
    """The emotion asked for cannot be read."""


def parse(text: str) -> np.ndarray:
    """ "happy=0.8,surprised=0.2" or "happy" -> (8,) weights; EmotionError for a name or a number that is none."""
    weights: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, value = part.partition("=")
        try:
            weights[name.strip()] = float(value) if value.strip() else 1.0
        except ValueError:
            raise EmotionError(
                f"{part!r} is not an emotion weight; write for example happy=0.8,surprised=0.2."
            ) from None
    return from_mapping(weights)


def from_mapping(weights: Mapping[str, float]) -> np.ndarray:
    """Name -> weight as (8,) float32; EmotionError for an unknown name or a weight outside 0..1.5."""
    vector = np.zeros(len(EMOTIONS), np.float32)
    for name, weight in weights.items():
        if name not in EMOTIONS:
            raise EmotionError(f"Unknown emotion {name!r}; choose among {', '.join(EMOTIONS)}.")
        if not 0.0 <= weight <= MAX_INTENSITY:
            raise EmotionError(f"The weight of {name} is {weight:g}; it must lie between 0 and {MAX_INTENSITY}.")
        vector[EMOTIONS.index(name)] = weight
    return vector


def from_vad(valence: float, arousal: float, dominance: float) -> np.ndarray:
    """A point of the three axes, each in [-1, 1] -> (8,) weights that add up to 1.

    The posterior of a Gaussian mixture with equal priors (arXiv 2602.06778): p(c|x) = softmax_c log N(x; mu_c, S_c).
    Raises EmotionError outside the cube.
    """
    point = np.array([valence, arousal, dominance], float)
    if not np.all(np.abs(point) <= 1.0):
        raise EmotionError(f"Valence, arousal and dominance must lie between -1 and 1, not {point.tolist()}.")
    mean, deviation = np.array([VAD[name] for name in EMOTIONS]).transpose(1, 0, 2)
    log_likelihood = -0.5 * (((point - mean) / deviation) ** 2).sum(1) - np.log(deviation).sum(1)
    likelihood = np.exp(log_likelihood - log_likelihood.max())
    return (likelihood / likelihood.sum()).astype(np.float32)


def curve(emotion: Mapping[str, float] | np.ndarray | None, frames: int) -> np.ndarray:
    """None, name -> weight, (8,) or (T, 8) -> (T, 8) float32 with T = frames and a sum of at most 1.5 in every frame.

    Raises EmotionError for a shape that does not fit, for negative weights and for what is no finite number.
    """
    if emotion is None:
        return np.zeros((frames, len(EMOTIONS)), np.float32)
    try:
        weights = from_mapping(emotion) if isinstance(emotion, Mapping) else np.asarray(emotion, np.float32)
    except (TypeError, ValueError) as error:
        raise EmotionError(f'{emotion!r} is no emotion; write for example {{"happy": 0.8}}, or an array.') from error
    if weights.shape not in ((len(EMOTIONS),), (frames, len(EMOTIONS))):
        raise EmotionError(f"Emotion weights must have shape (8,) or ({frames}, 8), not {weights.shape}.")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise EmotionError("Emotion weights must be finite and not negative.")
    total = weights.sum(-1, keepdims=True)
    limited = weights * np.minimum(1.0, MAX_INTENSITY / np.maximum(total, MAX_INTENSITY))
    return np.broadcast_to(limited, (frames, len(EMOTIONS))).astype(np.float32)


def going_on(weights: np.ndarray, before: np.ndarray, frames: int, fps: float) -> np.ndarray:
    """Weights (8,) or (T,8) that begin with those of `before` (8,), (frames,8): `eased` then draws the change out over
    ONSET from the first frame on. As they are where they begin so."""
    if np.allclose(np.atleast_2d(weights)[0], before, atol=1e-4):
        return weights
    full = np.array(np.broadcast_to(weights, (frames, len(EMOTIONS))) if weights.ndim == 1 else weights)
    full[: max(1, min(round(ONSET / 2 * fps), len(full) // 2))] = before
    return full


def eased(weights: np.ndarray, rate: float) -> np.ndarray:
    """Weights (T,8) at `rate` frames a second, every change drawn out over ONSET around its time.

    A moving mean with a raised-cosine window, exact at the ends: linear, so blends stay blends and more stays more. A
    curve of a few frames, mirrored many times, could lead below 0, and is held there.
    """
    reach = max(1, round(ONSET * rate / 2))
    window = np.hanning(2 * reach + 1)
    if not np.diff(weights, axis=0).any():
        return weights
    padded = np.pad(weights, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    columns = [np.convolve(column, window / window.sum(), "valid") for column in padded.T]
    return np.maximum(np.stack(columns, 1), 0).astype(np.float32)
