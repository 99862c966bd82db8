"""ATS on a robot that says when it says what: `python -m evaluation.ats_robot`.

An aligner knows a stop by its burst, and may call the closure before it a pause. espeak-ng (`apt install espeak-ng`)
tells the sample at which each of its phonemes begins, a stop with its burst; the closure is the digital silence right
before. So its voices that training never heard are judged here by their own times, with the checks of
evaluation/ats_phones.py and nothing aligned. Its library is called as espeak-ng's speak_lib.h declares it.
"""

import argparse
import ctypes
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from evaluation.ats import table
from evaluation.ats_phones import RATE, Spoken, judge
from export import voices
from export.phones import SILENCE, Phone
from export.pronounce import arpabet
from freetalk_blender.core import audio, performance

_RETRIEVAL, _PHONEMES_IN_IPA, _UTF8 = 1, 3, 1
_PHONEME = 7
#: Silence around what is said (s), as around the recordings of export/voices.py.
_AROUND = 0.25
#: Nothing is said below this amplitude (full scale 1), and no closure is longer than this (s).
_SILENT, _LONGEST = 1e-4, 0.12


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int), ("unique", ctypes.c_uint), ("text", ctypes.c_int), ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int), ("sample", ctypes.c_int), ("user", ctypes.c_void_p),
        ("phoneme", ctypes.c_char * 8),
    )  # fmt: skip


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p), ("languages", ctypes.c_char_p), ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte), ("age", ctypes.c_ubyte), ("variant", ctypes.c_ubyte), ("unused", ctypes.c_ubyte),
        ("score", ctypes.c_int), ("spare", ctypes.c_void_p),
    )  # fmt: skip


_Heard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Robot:
    """espeak-ng's library. Raises OSError where it is missing."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        self._rate = self._library.espeak_Initialize(_RETRIEVAL, 0, None, _PHONEMES_IN_IPA)
        self._sounds: list[np.ndarray] = []
        self._events: list[tuple[float, str]] = []
        self._callback = _Heard(self._hear)
        self._library.espeak_SetSynthCallback(self._callback)

    def _hear(self, samples: "ctypes._Pointer", count: int, events: "ctypes._Pointer") -> int:
        if samples and count > 0:
            self._sounds.append(np.ctypeslib.as_array(samples, (count,)).astype(np.float32) / 32768)
        i = 0
        while events[i].type:
            if events[i].type == _PHONEME:
                self._events.append((events[i].sample / self._rate, events[i].phoneme.decode(errors="ignore")))
            i += 1
        return 0

    def say(self, voice: str, text: str) -> tuple[np.ndarray, list[Phone]]:
        """16 kHz samples with silence around them, and their phones."""
        self._sounds.clear()
        self._events.clear()
        wanted = _Voice(languages=voice.encode())
        if self._library.espeak_SetVoiceByProperties(ctypes.byref(wanted)) != 0:
            raise OSError(f"espeak-ng has no voice {voice}")
        spoken = text.encode()
        self._library.espeak_Synth(spoken, len(spoken) + 1, 0, 0, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        sound = np.concatenate(self._sounds)
        found = list(_phones(self._events, len(sound) / self._rate))
        closed = [replace(p, start=p.start - self._silence(sound, p.start)) if p.name in "PB" else p for p in found]
        starts = [p.start for p in closed[1:]]
        parted = [replace(p, end=min(p.end, after)) for p, after in zip(closed, [*starts, np.inf], strict=True)]
        moved = [replace(p, start=p.start + _AROUND, end=p.end + _AROUND) for p in parted]
        return np.pad(audio.resample(sound, self._rate), round(_AROUND * audio.SPEECH_RATE)), moved

    def _silence(self, sound: np.ndarray, moment: float) -> float:
        """Seconds of digital silence right before a moment."""
        last = round(moment * self._rate)
        before = np.abs(sound[max(0, last - round(_LONGEST * self._rate)) : last][::-1]) > _SILENT
        return float(before.argmax() if before.any() else len(before)) / self._rate


def _phones(events: list[tuple[float, str]], length: float) -> Iterator[Phone]:
    """Events as phones; a diphthong's or an affricate's parts share its time, what has no name is silence."""
    starts = [start for start, _ in events]
    for (start, ipa), end in zip(events, [*starts[1:], length], strict=True):
        names = arpabet(ipa) or (SILENCE,)
        step = (end - start) / len(names)
        for i, name in enumerate(names if step > 0 else ()):
            yield Phone(name, start + i * step, start + (i + 1) * step)


def animate(robot: Robot, voice: voices.Voice, text: str) -> Spoken:
    """Our lips on one sentence."""
    samples, spoken = robot.say(voice.name, text)
    moved = performance.perform(samples, audio.SPEECH_RATE, fps=RATE, device="cpu").displacement
    return Spoken(voice.title, spoken, moved[:, 62, 1] - moved[:, 66, 1], moved[:, 54, 0] - moved[:, 48, 0])


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge the ATS on espeak-ng's held-out voices by their own times.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/")
    parser.add_argument("--limit", type=int, help="sentences of each voice (all)")
    arguments = parser.parse_args()
    robot = Robot()
    rows = {}
    for voice in voices.VOICES:
        if voice.held_out and voice.engine == "espeak-ng":
            said = islice(voices.texts(arguments.data, voice), arguments.limit)
            rows[voice.title] = judge([animate(robot, voice, text) for _, text in said])
    print(table("by its own times", rows))


if __name__ == "__main__":
    main()
