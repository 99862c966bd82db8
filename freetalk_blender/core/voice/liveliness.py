"""What a face does beside speaking and feeling: lids that blink, brows that beat with the voice, a head that nods with
it, eyes that look about. All from one seed."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import maximum_filter1d

from ..frame import EYE_DISTANCE_MM, EYEBALL_RADIUS_MM
from ..landmarks import LID_PAIRS, gaps
from ..series import shown_too
from .emotion import EMOTIONS
from .speech import FEATURE_RATE

#: Blinks: 26 a minute in conversation (Bentivoglio et al. 1997, "Analysis of blink rate patterns in normal subjects"),
#: intervals spread log-normally; a lid falls in 80 ms and rises in 180 (VanderWerf et al. 2003, "Eyelid movements").
BLINK_INTERVAL = 60.0 / 26.0
_BLINK_SPREAD = 0.5
_BLINK_FALL, _BLINK_RISE = 0.08, 0.18
#: Lids that have fallen so far are shut in a frame that shows them.
_SHUT = 0.95
#: A blink waits for the nearest end of a phrase within this time, and nobody blinks further than this from speech (s):
#: silence is left still for the animator.
_BLINK_WAIT, _BLINK_REACH = 0.5, 3.0
#: Brow beats: a raise begins 60 ms before the accent's peak and takes about half a second; one accent in two has one
#: (Flecha-Garcia 2010, "Eyebrow raises in dialogue ..."; 0.06 s and 0.4 to 0.6 s there), strong accents more often.
_BEAT_EARLY, _BEAT_RISE, _BEAT_FALL = 0.06, 0.16, 0.36
_BEAT_SHARE = 0.35
#: Heads move with accents (Hadar et al. 1983, "Head movement correlates of juncture and stress at sentence level";
#: Munhall et al. 2004, "Visual prosody and speech intelligibility"): a nod begins 0.1 s before the accent's peak, most
#: go down, and the strongest so far (degrees).
_NOD_EARLY, _NOD_RISE, _NOD_FALL, _NOD_DOWN = 0.1, 0.2, 0.45, 0.8
_NOD = 3.5
#: With each a talker turns a little elsewhere: standard deviation (degrees: pitch, yaw, roll), how long it takes (s),
#: and how much is kept of where the head was.
_TURN, _TURN_TIME, _KEPT = (1.0, 2.0, 1.0), 0.9, 0.5
#: The head comes to rest this long after speech, and takes as long from rest (s).
_REST = 1.5
#: How far it hangs in sadness, and is raised in contempt and surprise (degrees of pitch at full emotion; Mignault &
#: Chaudhuri 2003, "The many faces of a neutral face: head tilt and perception of dominance and emotion").
_HANGING = {"sad": 6.0, "contempt": -4.0, "surprised": -2.5}
#: Eyes rest on one place of a listener's face for so long in the median, with this spread, and at least (s), before
#: they go to another (Yarbus 1967, "Eye Movements and Vision", ch. 7); how far these lie apart (standard deviation,
#: degrees: pitch, yaw), and how far eyes turn at most.
_LOOK, _LOOK_SPREAD, _SHORTEST_LOOK = 0.9, 0.5, 0.25
_ABOUT, _AT_MOST = (1.0, 1.8), 12.0
#: Feeling, by whatever style, leaves this share of an eye open, and goes softly towards it from so much further; lids
#: in a blink may cross by the third at their landmarks, as speech has them.
_LEAST_OPEN, _SOFTLY, _PRESSED = 0.25, 0.1, 0.03
#: Lids ride on the eye as it looks up and down, the upper one by most of its turn (Becker & Fuchs 1988, "Lid-eye
#: coordination during vertical gaze changes in man and monkey"), the lower one by a third of that.
_UPPER_LID, _LOWER_LID = 0.8, 0.27
#: Other words, other blinks, turns and looks: by so many accents from the first on.
_TOLD_BY = 3


def blinks(speech: np.ndarray, accents: np.ndarray, seed: int, rate: float | np.ndarray = 1.0) -> np.ndarray:
    """Speech probability (T,) at 50 Hz and accents (A,2) -> how far the lids are shut (T,), 0 to 1; rate: times as
    often as people do, throughout or frame by frame (T,)."""
    random = np.random.default_rng([seed, *_words(accents)])
    talking = speech > 0.5
    spoken = np.flatnonzero(talking)
    curve = np.zeros(len(speech), np.float32)
    if len(spoken) == 0:
        return curve
    ends = np.flatnonzero(talking[:-1] & ~talking[1:]) / FEATURE_RATE
    for moment in _blink_times(np.broadcast_to(rate, len(speech)), ends, random):
        if _distance(spoken / FEATURE_RATE, moment) <= _BLINK_REACH:
            _add(curve, moment, _BLINK_FALL, _BLINK_RISE, 1.0)
    return curve


def shown(lids: np.ndarray, frames: int, fps: float) -> np.ndarray:
    """(frames,) seconds whose lids frames show: frame i second i / fps, but lids (T,) at 50 Hz that are shut between
    two frames alone are shown by the nearer one, as `lips.shown` does with lips."""
    shut = (lids > _SHUT) | (lids > 0.5) & (lids == maximum_filter1d(lids, 3, mode="nearest"))
    return shown_too(shut, FEATURE_RATE, frames, fps)


def beats(accents: np.ndarray, frames: int, seed: int) -> np.ndarray:
    """Accents (A,2), second and strength -> how far the brows are raised by emphasis (frames,), 0 to 1."""
    random = np.random.default_rng([seed, 1])
    curve = np.zeros(frames, np.float32)
    for moment, strength in accents:
        chance, size = random.random(), random.uniform(0.6, 1.0)
        if chance < _BEAT_SHARE + 0.5 * strength:
            begin = moment - _BEAT_EARLY - _BEAT_RISE / 2
            _add(curve, begin, _BEAT_RISE, _BEAT_FALL, size * (0.3 + 0.7 * strength))
    return curve


def head(speech: np.ndarray, accents: np.ndarray, emotion: np.ndarray, seed: int) -> np.ndarray:
    """Speech probability (T,), accents (A,2) and emotion (T,8), at 50 Hz -> turns of the head (T,3) float32 about the
    canonical axes (radians): at rest in silence, but for how it is held in emotion."""
    random = np.random.default_rng([seed, 2, *_words(accents)])
    frames = len(speech)
    down, up = np.zeros((2, frames), np.float32)
    places = [np.zeros(3)]
    for moment, strength in accents:
        nod = down if random.random() < _NOD_DOWN else up
        _add(nod, moment - _NOD_EARLY, _NOD_RISE, _NOD_FALL, random.uniform(0.4, 1.0) * strength)
        places.append(_KEPT * places[-1] + random.normal(0.0, _TURN))
    held = _held(places, np.rint(accents[:, 0] * FEATURE_RATE), frames)
    degrees = _smoothed(held.astype(np.float32), _TURN_TIME)
    degrees[:, 0] += _NOD * (down - up)
    degrees *= _smoothed(_talks(speech, _REST / 2), _REST)
    degrees[:, 0] += emotion @ [_HANGING.get(name, 0.0) for name in EMOTIONS]
    return np.radians(degrees).astype(np.float32)


def gaze(
    speech: np.ndarray, accents: np.ndarray, head: np.ndarray, seed: int, factor: float | np.ndarray = 1.0
) -> np.ndarray:
    """Speech probability (T,), accents (A,2) and turns of the head (T,3), at 50 Hz -> turns of the eyes in it (T,2)
    float32 about the canonical X and Y axes (radians): they stay on who is looked at, and in speech on one place of
    that face after the other.

    factor: a number or (T,); how far they look about, and, up to 1, how much of the head's turn they take back.
    """
    random = np.random.default_rng([seed, 3, *_words(accents)])
    places, ends = [], [0]
    while ends[-1] < len(speech):
        places.append(random.normal(0.0, _ABOUT))
        ends.append(ends[-1] + int(max(_LOOK * random.lognormal(0.0, _LOOK_SPREAD), _SHORTEST_LOOK) * FEATURE_RATE))
    looked = _held(places, ends[1:], len(speech))
    share = np.float32(factor).reshape(-1, 1)
    wanted = share * np.radians(looked * _talks(speech, _REST / 2)) - np.minimum(share, 1) * head[:, :2]
    return np.clip(wanted, -np.radians(_AT_MOST), np.radians(_AT_MOST)).astype(np.float32)


def with_open_eyes(displacement: np.ndarray, neutral: np.ndarray, blink: np.ndarray) -> np.ndarray:
    """Motion (T,68,3) of landmarks (68,3), canonical units, in which feeling alone leaves eyes at least _LEAST_OPEN of
    what they are open by at rest: where their lids would come nearer, they go less far. blink (T,), 0 to 1, is laid
    over that, and shuts them."""
    left = 1 + gaps(displacement, LID_PAIRS) / gaps(neutral, LID_PAIRS)
    bare = 1 - blink[:, None]
    above, soft = left - _LEAST_OPEN * bare + _PRESSED * (1 - bare), np.maximum(_SOFTLY * bare, 1e-6)
    wider = np.where(above < soft, np.maximum(above + soft, 0) ** 2 / (4 * soft) - above, 0)
    if not wider.any():
        return displacement
    moved, share = displacement.copy(), 1 - wider / np.maximum(1 - left, 0.5)
    moved[:, np.array(LID_PAIRS)] *= share.astype(np.float32)[..., None, None]
    return moved


def with_lids(displacement: np.ndarray, neutral: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Motion (T,68,3) of landmarks (68,3), canonical units, whose lids go where the eyes look: down by pitch (T,) in
    radians. They go by a share of what is between them, so lids that are shut stay shut."""
    if not pitch.any():
        return displacement
    upper, lower = np.array(LID_PAIRS).T
    travel = (
        np.float32(EYEBALL_RADIUS_MM / EYE_DISTANCE_MM / gaps(neutral, LID_PAIRS).mean()) * np.sin(pitch)[:, None, None]
    )
    moved = displacement.copy()
    between = (neutral + displacement)[:, lower] - (neutral + displacement)[:, upper]
    moved[:, upper] += _UPPER_LID * travel * between
    moved[:, lower] += _LOWER_LID * travel * between
    return moved


def _words(accents: np.ndarray) -> np.ndarray:
    """What tells one recording from another, however it ends: the frames of its first accents (A,2)."""
    return np.rint(accents[:_TOLD_BY, 0] * FEATURE_RATE).astype(int)


def _held(places: Sequence[np.ndarray], changes: Sequence[int] | np.ndarray, frames: int) -> np.ndarray:
    """(frames,k) one place (k,) after the other, each held until the frame at which it changes to the next."""
    return np.stack(places)[np.searchsorted(changes, np.arange(frames), side="right")]


def _talks(speech: np.ndarray, reach: float) -> np.ndarray:
    """(T,1) float32: 1 where somebody speaks within so many seconds."""
    spoken = np.convolve(speech > 0.5, np.ones(2 * int(reach * FEATURE_RATE) + 1), "full")
    return (_middle(spoken, len(speech)) > 0.5).astype(np.float32)[:, None]


def _smoothed(curves: np.ndarray, duration: float) -> np.ndarray:
    """(T,k) with every step drawn out over so many seconds around its time, as people move: slowly, quickly, slowly."""
    window = np.hanning(2 * int(duration / 2 * FEATURE_RATE) + 1)
    columns = [_middle(np.convolve(column, window / window.sum(), "full"), len(curves)) for column in curves.T]
    return np.stack(columns, 1)


def _middle(full: np.ndarray, count: int) -> np.ndarray:
    """What a full convolution has beside each of `count` samples."""
    return full[(len(full) - count) // 2 :][:count]


def _blink_times(rate: np.ndarray, ends: np.ndarray, random: np.random.Generator) -> list[float]:
    """Moments at which a lid begins to fall, so often as rate (T,) says, drawn to the ends of phrases; none so late
    that the recording ends with lids shut."""
    passed = np.concatenate([[0.0], np.cumsum(rate, dtype=float)]) / FEATURE_RATE  # seconds of a rate of 1
    latest = (len(rate) - 1) / FEATURE_RATE - (_BLINK_FALL + _BLINK_RISE)
    if latest < 0:
        return []
    moments: list[float] = []
    due = BLINK_INTERVAL * random.uniform(0.3, 1.0)
    while due < passed[-1]:
        moment = float(np.interp(due, passed, np.arange(len(passed)) / FEATURE_RATE))
        nearest = ends[np.abs(ends - moment).argmin()] if len(ends) else np.inf
        drawn = min(float(nearest) if abs(nearest - moment) < _BLINK_WAIT else moment, latest)
        if not moments or drawn - moments[-1] > _BLINK_FALL + _BLINK_RISE:
            moments.append(drawn)
        due += BLINK_INTERVAL * random.lognormal(-0.5 * _BLINK_SPREAD**2, _BLINK_SPREAD)
    return moments


def _distance(ascending: np.ndarray, moment: float) -> float:
    """From a moment to the nearest of some others."""
    place = int(np.searchsorted(ascending, moment))
    return float(np.abs(ascending[max(0, place - 1) : place + 1] - moment).min())


def _add(curve: np.ndarray, begin: float, rise: float, fall: float, size: float) -> None:
    """Lay one movement over the curve, smooth up and smooth down; the larger of two that overlap."""
    first = max(0, int(np.ceil(begin * FEATURE_RATE)))
    since = np.arange(first, min(len(curve), int((begin + rise + fall) * FEATURE_RATE) + 1)) / FEATURE_RATE - begin
    phase = np.clip(np.where(since < rise, since / rise, 1.0 - (since - rise) / fall), 0.0, 1.0)
    part = curve[first : first + len(since)]
    np.maximum(part, size * phase * phase * (3.0 - 2.0 * phase), out=part, casting="same_kind")
