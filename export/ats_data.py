"""Training streams of the ATS: what the encoder hears, and what lips, jaw and events should be, frame by frame.

A stream is about 18 s of speech by one voice, so that the encoder's windows and positions are those of use.
Streams are written once, by pass, into the work folder, and read back when they are already there.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export import articulation, augment, grid
from freetalk_blender.core import audio, speech
from freetalk_blender.core.ats import EVENTS

RATE = speech.FEATURE_RATE
CONTROLS = tuple(articulation.SPEECH_CONTROLS)
_CLIPS_IN_A_STREAM = 6
#: Anticipation and release: a mouth may move this long before the first and after the last sound (s).
_SPEECH_MARGIN = 0.3


@dataclass(frozen=True)
class Streams:
    """Frames of many streams, one after another.

    features (N,384) float16; controls (N,K) and how far each is to be believed (N,K); events (N,4) and likewise (N,4);
    stream (N,) index of the stream that a frame belongs to.
    """

    features: np.ndarray
    controls: np.ndarray
    control_trust: np.ndarray
    events: np.ndarray
    event_trust: np.ndarray
    stream: np.ndarray

    def save(self, path: Path) -> None:
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, **vars(self))
        temporary.replace(path)

    @staticmethod
    def load(path: Path) -> "Streams":
        with np.load(path) as arrays:
            return Streams(**{name: arrays[name] for name in Streams.__dataclass_fields__})


@dataclass(frozen=True)
class Piece:
    """One utterance: samples at 16 kHz and its labels at 50 Hz, as in Streams."""

    samples: np.ndarray
    controls: np.ndarray
    control_trust: np.ndarray
    events: np.ndarray
    event_trust: np.ndarray


def join(parts: list[Streams]) -> Streams:
    """Streams of several sources as one; stream indices stay apart."""
    offset, shifted = 0, []
    for part in parts:
        shifted.append(part.stream + offset)
        offset += int(part.stream.max()) + 1
    columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in list(Streams.__dataclass_fields__)[:-1]}
    return Streams(**columns, stream=np.concatenate(shifted))


def held_out(name: str, share: float = 0.1) -> bool:
    """True for the clips (or voices) that training never sees; by the hash of the name, so for ever the same."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32 < share


def rest(length: int, samples: np.ndarray) -> Piece:
    """A piece in which nobody speaks."""
    return Piece(
        samples,
        np.zeros((length, len(CONTROLS)), np.float32),
        np.ones((length, len(CONTROLS)), np.float32),
        np.zeros((length, len(EVENTS)), np.float32),
        np.ones((length, len(EVENTS)), np.float32),
    )


def grid_pieces(data: Path) -> list[Piece]:
    """The real talker's clips that training may see."""
    clips, controls = grid.load(data)
    return [grid_piece(clip, weights) for clip, weights in zip(clips, controls, strict=True) if not held_out(clip.name)]


def grid_piece(clip: grid.Clip, weights: np.ndarray) -> Piece:
    """One real clip: its controls are believed, and speech and closed lips are read off the lips themselves."""
    samples, _ = audio.load(clip.audio)
    length = len(weights)
    samples = np.pad(samples, (0, max(0, length * speech.HOP - len(samples))))[: length * speech.HOP]
    margin = int(_SPEECH_MARGIN * RATE)
    talking = np.convolve(clip.speech, np.ones(2 * margin + 1), "same") > 0
    gap = clip.displacement[:, 62, 1] - clip.displacement[:, 66, 1]
    events = np.stack([talking, clip.speech & (gap < 0.002), 0 * gap, 0 * gap], 1).astype(np.float32)
    trust = np.tile(np.array([1, 1, 0, 0], np.float32), (length, 1))
    trust[:, 1] *= (gap < 0.002) | (gap > 0.02)
    return Piece(samples, weights.astype(np.float32), np.ones_like(weights, np.float32), events, trust)


def build(
    pieces: list[Piece], seed: int, path: Path, disturbed: bool, voice: tuple[float, float] = (0.82, 1.22)
) -> Streams:
    """Encode the pieces as streams, in a random order, each with its own voice, room and noise; kept in `path`."""
    if path.is_file():
        return Streams.load(path)
    random = np.random.default_rng(seed)
    order = random.permutation(len(pieces))
    groups = [order[i : i + _CLIPS_IN_A_STREAM] for i in range(0, len(order), _CLIPS_IN_A_STREAM)]
    streams = [_stream([pieces[i] for i in group], random, disturbed, voice) for group in groups]
    result = Streams(
        *[np.concatenate([part[column] for part in streams]) for column in range(5)],
        stream=np.repeat(np.arange(len(streams)), [len(part[0]) for part in streams]),
    )
    result.save(path)
    return result


def _stream(
    pieces: list[Piece], random: np.random.Generator, disturbed: bool, voice: tuple[float, float]
) -> tuple[np.ndarray, ...]:
    """One stream's five columns."""
    parts = list(_with_pauses(pieces, random))
    samples = np.concatenate([part.samples for part in parts])
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in list(Piece.__dataclass_fields__)[1:]]
    if disturbed:
        factor = random.uniform(*voice)
        samples = augment.disturb(augment.change_voice(samples, factor), random)
        length = len(samples) // speech.HOP
        source = np.minimum(np.rint(np.arange(length) * factor).astype(int), len(columns[0]) - 1)
        moment = np.minimum(np.arange(length) * factor, len(columns[0]) - 1)
        columns = [_at(columns[0], moment), *[column[source] for column in columns[1:]]]
    features = speech.features(samples.astype(np.float32), "cpu")[: len(columns[0])].astype(np.float16)
    return (features, *columns)


def _at(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    before = np.floor(position).astype(int)
    after = np.minimum(before + 1, len(values) - 1)
    share = (position - before)[:, None].astype(np.float32)
    return values[before] * (1 - share) + values[after] * share


def _with_pauses(pieces: list[Piece], random: np.random.Generator) -> Iterator[Piece]:
    """The pieces with a pause of digital silence or of faint noise between some of them."""
    for piece in pieces:
        yield piece
        if random.random() < 0.5:
            length = int(random.integers(5, 30))
            quiet = augment.noise(length * speech.HOP, random) * 10 ** random.uniform(-6, -2.5)
            yield rest(length, quiet.astype(np.float32))


def noise_pieces(count: int, seed: int) -> list[Piece]:
    """Noise without speech, 3 s each, at any level: the mouth stays shut."""
    random = np.random.default_rng(seed)
    length = 3 * RATE
    return [
        rest(length, (augment.noise(length * speech.HOP, random) * 10 ** random.uniform(-4, -1)).astype(np.float32))
        for _ in range(count)
    ]


Source = Callable[[Path], list[Piece]]
