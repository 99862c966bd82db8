"""Vowels that are held: `python -m evaluation.ats_held --data ../shared/data`.

In read speech of LibriSpeech by voices that training never heard the widest vowel of each recording is stretched to a
length (`export.augment.hold`); its gap of the lips, the mean between 0.1 s from either end, and the share of it with
shut lips are compared with the encoder hearing all of it, and hearing it shortened (`core/voice/sustained.py`).
"""

import numpy as np

from evaluation.ats import means, table, unheard_readers
from export import augment, command
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.landmarks import aperture
from freetalk_blender.core.lip_contact.contact import PARTED
from freetalk_blender.core.voice import ats, audio, performance, speech, sustained

_SECONDS, _LENGTHS = 8, (0.4, 0.8, 1.5, 3.0)
#: Frames to either side of the widest that are stretched.
_AROUND = 4
_EDGE = 5


def widest(gap: np.ndarray) -> int:
    """Frame at which the lips are furthest apart; gap (T,)."""
    return _AROUND * 4 + int(gap[_AROUND * 4 : -_AROUND * 4].argmax())


def gap_of(features: np.ndarray) -> np.ndarray:
    """(T,) mm between the lips, as the network moves them."""
    still = np.zeros((len(features) - 2 * speech.CONTEXT, len(ats.EMOTIONS)), np.float32)
    return EYE_DISTANCE_MM * aperture(ats.predict(features, still))


def main() -> None:
    parser = command.parser(__doc__, "speech/")
    data = parser.parse_args().data
    found: dict[str, list[dict[str, float]]] = {f"{length} s": [] for length in _LENGTHS}
    for file in unheard_readers(data):
        samples = audio.load(file)[0][: _SECONDS * audio.SPEECH_RATE]
        middle = widest(gap_of(speech.surrounded(samples)))
        first, end = (middle - _AROUND) * speech.HOP, (middle + _AROUND) * speech.HOP
        for length, rows in zip(_LENGTHS, found.values(), strict=True):
            longer = augment.hold(samples, first, end, round(length * audio.SPEECH_RATE))
            inside = slice(
                first // speech.HOP + _EDGE, first // speech.HOP + round(length * speech.FEATURE_RATE) - _EDGE
            )
            whole = speech.surrounded(longer)
            places = sustained.find(longer, ats.events(whole)[:, 0])
            row: dict[str, float] = {"heard shortened": float(len(places) > 0)}
            for name, features in (("whole", whole), ("as performed", performance.hear(longer).features)):
                gap = gap_of(features)[inside]
                row |= {f"gap mm, {name}": gap.mean(), f"shut, {name}": (gap < PARTED[1]).mean()}
            rows.append(row)
    print(table("vowels held for", {name: means(rows) for name, rows in found.items()}))


if __name__ == "__main__":
    command.run(main)
