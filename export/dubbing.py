"""The real talker's lips under other voices: synthetic voices say his sentences, and his lips follow their phones.

So the network hears many voices say what one man's lips were seen to say.
"""

from difflib import SequenceMatcher

import numpy as np

from export import ats_data, postures
from export.aligned import Aligned
from export.phones import SILENCE, Phone
from freetalk_blender.core.voice import audio, speech

#: Warped lips are believed this much beside those under the talker's own voice.
TRUST = 0.6
#: Two ways to say a sentence are the same where this share of phones agrees: programs call vowels by other names.
_AGREE = 0.8


def warp(real: list[Phone], dubbed: list[Phone], times: np.ndarray) -> np.ndarray | None:
    """times (T,) of the dubbed sentence -> the same moments of the real one; None where too few phones are the same."""
    ours, theirs = ([phone for phone in phones if phone.name != SILENCE] for phones in (real, dubbed))
    names, others = ([phone.name for phone in phones] for phones in (ours, theirs))
    blocks = SequenceMatcher(None, names, others, autojunk=False).get_matching_blocks()
    pairs = [(ours[a + i], theirs[b + i]) for a, b, size in blocks for i in range(size)]
    if not pairs or len(pairs) < _AGREE * max(len(ours), len(theirs)):
        return None
    real_times = [time for one, _ in pairs for time in (one.start, one.end)]
    dubbed_times = [time for _, other in pairs for time in (other.start, other.end)]
    inner = np.interp(times, dubbed_times, real_times)
    before = np.minimum(times - dubbed_times[0], 0.0)
    after = np.maximum(times - dubbed_times[-1], 0.0)
    return inner + before + after


def piece(recording: Aligned, weights: np.ndarray, real: list[Phone]) -> ats_data.Piece | None:
    """A synthetic voice with the real talker's controls (T,K); None where the two say the sentence differently."""
    samples, _ = audio.load(recording.path)
    length = len(samples) // speech.HOP
    moments = warp(real, recording.phones, np.arange(length) / speech.FEATURE_RATE)
    if moments is None:
        return None
    clock = np.arange(len(weights)) / speech.FEATURE_RATE
    controls = np.stack([np.interp(moments, clock, column) for column in weights.T], 1).astype(np.float32)
    controls *= postures.speaking(recording.phones, length)[:, None].astype(np.float32)
    events, trust = postures.events(recording.phones, length)
    return ats_data.Piece(samples[: length * speech.HOP], controls, np.full_like(controls, TRUST), events, trust)
