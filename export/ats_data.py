"""Training streams of the ATS: what the encoder hears, and what lips, jaw and events should be, frame by frame.

About 18 s of sound are one stream, or are cut into streams as short as most recordings are, so that the encoder's
windows and positions are those of use: of a long stream several windows average, a short one lies in one. What the
encoder makes of it is kept in the work folder; the labels are made anew each time.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from export import articulation, augment, grid, postures
from export.aligned import Aligned, trusted
from export.phones import SILENCE, Phone
from freetalk_blender.core import atomic
from freetalk_blender.core.landmarks import aperture
from freetalk_blender.core.voice import audio, speech
from freetalk_blender.core.voice.ats import EVENTS

CONTROLS = tuple(articulation.SPEECH_CONTROLS)
_STREAM_SECONDS = 18.0
#: The longest and the shortest streams that sound is cut into (frames): one window of the encoder holds the longest.
SHORT = (450, 225)
#: How much faster and higher a voice is made, and how much higher its resonances beside that.
VOICES, FORMANTS = (0.78, 1.28), (0.87, 1.15)
Range = tuple[float, float]
#: Rules and teacher together are believed this much beside real lips, heights of vowels more, and what the phones
#: demand the more the stricter they are: closures as much as real lips.
_RULE_TRUST, _HEIGHT_TRUST = 0.4, 0.85


@dataclass(frozen=True)
class Piece:
    """One utterance at 16 kHz and its labels at 50 Hz: controls (T,K), events (T,4), and how far each is believed."""

    samples: np.ndarray
    controls: np.ndarray
    control_trust: np.ndarray
    events: np.ndarray
    event_trust: np.ndarray


LABELS = ("controls", "control_trust", "events", "event_trust")


@dataclass(frozen=True)
class Streams:
    """Frames of many streams in a row: features (N,384) float16, labels as in Piece, stream (N,) its index."""

    features: np.ndarray
    controls: np.ndarray
    control_trust: np.ndarray
    events: np.ndarray
    event_trust: np.ndarray
    stream: np.ndarray


def join(parts: list[Streams]) -> Streams:
    """Streams of several sources as one; stream indices stay apart."""
    offset, shifted = 0, []
    for part in parts:
        shifted.append(part.stream + offset)
        offset += int(part.stream.max()) + 1
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("features", *LABELS)}
    return Streams(**columns, stream=np.concatenate(shifted))


def held_out(name: str, share: float = 0.1) -> bool:
    """True for the clips (or voices) that training never sees; by the hash of the name, so for ever the same."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32 < share


def rest(samples: np.ndarray) -> Piece:
    """A piece in which nobody speaks."""
    length = len(samples) // speech.HOP
    controls, events = np.zeros((length, len(CONTROLS)), np.float32), np.zeros((length, len(EVENTS)), np.float32)
    return Piece(samples, controls, np.ones_like(controls), events, np.ones_like(events))


def grid_pieces(
    clips: list[grid.Clip], controls: np.ndarray, phones: dict[str, list[Phone]] | None = None
) -> list[Piece]:
    """The real talker's clips that training may see; events from their phones where those are known."""
    phones = phones or {}
    return [
        grid_piece(clip, weights, phones.get(clip.name))
        for clip, weights in zip(clips, controls, strict=True)
        if not held_out(clip.name)
    ]


def grid_piece(clip: grid.Clip, weights: np.ndarray, phones: list[Phone] | None = None) -> Piece:
    """One real clip: its controls are believed; speech and closed lips are read off the words and the lips themselves.

    Lips are asked to touch where the real ones do and, if the phones are known, a bilabial is spoken.
    """
    length = len(weights)
    samples, _ = audio.load(clip.audio)
    samples = np.pad(samples, (0, max(0, length * speech.HOP - len(samples))))[: length * speech.HOP]
    gap = aperture(clip.displacement)
    margin = int(grid.BREATH * speech.FEATURE_RATE)
    talking = np.convolve(clip.speech, np.ones(2 * margin + 1), "same") > 0
    closed = clip.speech & (gap < 0.002)
    events = np.stack([talking, closed, 0 * gap, 0 * gap], axis=1).astype(np.float32)
    trust = np.tile(np.array([1, 1, 0, 0], np.float32), (length, 1))
    if phones is not None:
        heard, heard_trust = postures.events(phones, length)
        events[:, 1:], trust[:, 1:] = heard[:, 1:], heard_trust[:, 1:]
    trust[:, 1] *= (events[:, 1] > 0.5) | (gap > 0.015)
    return Piece(samples, weights.astype(np.float32), np.ones_like(weights, np.float32), events, trust)


def aligned_piece(recording: Aligned, teacher: np.ndarray, by_phone: dict[tuple[str, ...], np.ndarray]) -> Piece:
    """Open speech: the teacher's controls (T,K) drawn to what the phones demand; a closure is believed in full."""
    samples, _ = audio.load(recording.path)
    length = min(len(samples) // speech.HOP, len(teacher))
    controls = postures.correct(teacher[:length], recording.phones, by_phone).astype(np.float32)
    events, trust = postures.events(recording.phones, length)
    demanded = [
        postures.dominance(recording.phones, names, demand, length) for names, demand in postures.DEMANDS.items()
    ]
    credible = trusted(recording.phones, length)[:, None]
    height = _HEIGHT_TRUST * postures.vowel_height(recording.phones, length)
    believed = np.maximum.reduce([np.full(length, _RULE_TRUST), height, *demanded])[:, None] * np.ones_like(controls)
    return Piece(
        samples[: length * speech.HOP], controls, (believed * credible).astype(np.float32), events, trust * credible
    )


def heard_alone(piece: Piece, phones: list[Phone]) -> Piece:
    """A piece that teaches ears alone, not lips, and no silence: an aligner takes the end of a slow word for one."""
    times = np.arange(len(piece.controls)) / speech.FEATURE_RATE
    spoken = np.array([(phone.start, phone.end) for phone in phones if phone.name != SILENCE])
    inside = ((times[:, None] >= spoken[:, 0]) & (times[:, None] <= spoken[:, 1])).any(1)
    trust = piece.event_trust.copy()
    trust[:, EVENTS.index("speech")] *= inside
    return replace(piece, control_trust=np.zeros_like(piece.control_trust), event_trust=trust)


def quiet_pieces(count: int, seed: int) -> list[Piece]:
    """Whole streams without speech: noise of every colour and level, and digital silence."""
    random = np.random.default_rng(seed)
    length = int(_STREAM_SECONDS * speech.FEATURE_RATE) * speech.HOP
    levels = [0.0 if i % 5 == 0 else 10 ** random.uniform(-4, -0.7) for i in range(count)]
    return [rest((augment.noise(length, random) * level).astype(np.float32)) for level in levels]


def digest(pieces: list[Piece]) -> str:
    """Short hash of what the pieces sound like, so that kept features are never taken for those of other sounds."""
    state = hashlib.sha256()
    for piece in pieces:
        state.update(np.int64(len(piece.samples)).tobytes() + np.asarray(piece.samples[::97], np.float32).tobytes())
    return state.hexdigest()[:10]


def kept(path: Path, hear: Callable[[], np.ndarray]) -> np.ndarray:
    """The features that a file holds; where it is missing, what is heard, float16, and kept there."""
    if not path.is_file():
        heard = hear().astype(np.float16)
        with atomic.output(path) as partial:
            np.save(partial, heard)
    return np.load(path)


def build(
    pieces: list[Piece], seed: int, path: Path, disturbed: bool, others: tuple[Range, Range] = (VOICES, FORMANTS)
) -> Streams:
    """The pieces as streams, in a random order, every 18 s with their own voice, room and noise; `path` keeps the
    features. Half of these are heard as a whole.

    others: how far tempo and pitch, and resonances, go where they are disturbed.
    """
    groups = list(_groups(pieces, np.random.default_rng(seed)))
    labels: list[list[np.ndarray]] = []
    features: list[np.ndarray] = []
    lengths: list[int] = []
    known = np.load(path) if path.is_file() else None
    for number, group in enumerate(groups):
        random = np.random.default_rng([seed, number])
        parts = list(_with_pauses(group, random))
        factor = float(random.uniform(*others[0])) if disturbed else 1.0
        labels.append(_labels(parts, factor))
        cut = _cut(len(labels[-1][0]), random)
        lengths += cut
        if known is None:
            features.append(_hear(parts, factor, cut, others[1], random if disturbed else None))
    if known is None:
        known = np.concatenate(features)
        with atomic.output(path) as partial:
            np.save(partial, known)
    columns = {name: np.concatenate([part[i] for part in labels]) for i, name in enumerate(LABELS)}
    index = np.repeat(np.arange(len(lengths)), lengths)
    return Streams(features=known, **columns, stream=index)


def _groups(pieces: list[Piece], random: np.random.Generator) -> Iterator[list[Piece]]:
    """Pieces in a random order, as many together as fill a stream."""
    group: list[Piece] = []
    for i in random.permutation(len(pieces)):
        group.append(pieces[i])
        if sum(len(piece.samples) for piece in group) >= (_STREAM_SECONDS - 2) * audio.SPEECH_RATE:
            yield group
            group = []
    if group:
        yield group


def _labels(parts: list[Piece], factor: float) -> list[np.ndarray]:
    """The parts' labels, one after another, at `factor` times the tempo."""
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in LABELS]
    length = int(len(columns[0]) / factor)
    position = np.minimum(np.arange(length) * factor, len(columns[0]) - 1)
    nearest = np.rint(position).astype(int)
    return [_at(columns[0], position), *[column[nearest] for column in columns[1:]]]


def _cut(length: int, random: np.random.Generator) -> list[int]:
    """The lengths of the streams that so many frames are cut into: one, or, as often, several that are SHORT."""
    fewest = -(-length // SHORT[0])
    most = max(fewest, length // SHORT[1])
    count = 1 if random.random() < 0.5 else int(random.integers(fewest, most + 1))
    return np.diff(np.arange(count + 1) * length // count).tolist()


def _hear(
    parts: list[Piece], factor: float, cut: list[int], formants: Range, random: np.random.Generator | None
) -> np.ndarray:
    """(sum of cut, 384) float16 features of the parts as one sound, heard in streams of these lengths; disturbed where
    there is chance."""
    samples = np.concatenate([part.samples for part in parts])
    if random is not None:
        samples = augment.change_formants(augment.change_voice(samples, factor), float(random.uniform(*formants)))
        samples = augment.disturb(samples, random)
    wanted = sum(cut) * speech.HOP
    samples = np.pad(samples, (0, max(0, wanted - len(samples))))[:wanted].astype(np.float32)
    streams = np.split(samples, np.cumsum(cut)[:-1] * speech.HOP)
    return np.concatenate([speech.features(stream, "cpu") for stream in streams]).astype(np.float16)


def _at(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    before = np.floor(position).astype(int)
    after = np.minimum(before + 1, len(values) - 1)
    share = (position - before)[:, None].astype(np.float32)
    return values[before] * (1 - share) + values[after] * share


def _with_pauses(pieces: list[Piece], random: np.random.Generator) -> Iterator[Piece]:
    """The pieces with a pause of digital silence or of faint noise between some of them."""
    for piece in pieces:
        yield piece
        if random.random() < 0.4:
            length = int(random.integers(5, 40)) * speech.HOP
            yield rest((augment.noise(length, random) * 10 ** random.uniform(-6, -2.5)).astype(np.float32))
