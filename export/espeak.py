"""espeak-ng's library, which tells the sample at which each of its phonemes begins (`apt install espeak-ng`).

It knows a stop by its burst; the closure is the silence right before. The library is called as its speak_lib.h declares
it.
"""

import ctypes
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from export.phones import SILENCE, Phone
from export.pronounce import arpabet
from freetalk_blender.core.voice import audio

_RETRIEVAL, _PHONEMES_IN_IPA, _UTF8 = 1, 3, 1
_PHONEME = 7
#: Where a diphthong's or an affricate's two letters belong together.
_TIE = re.compile("t(?=ʃ)|d(?=ʒ)|[aeoɔə](?=[ɪʊ])")
#: Amplitude of digital silence (full scale 1), and the longest closure (s).
SILENT, _LONGEST = 1e-4, 0.12


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

    def _become(self, voice: str) -> None:
        """Take a voice by its name, or by its language, as the program does."""
        wanted = _Voice(languages=voice.encode())
        by_name = self._library.espeak_SetVoiceByName(voice.encode()) == 0
        if not by_name and self._library.espeak_SetVoiceByProperties(ctypes.byref(wanted)) != 0:
            raise OSError(f"espeak-ng has no voice {voice}")

    def say(self, voice: str, text: str, quiet: float = SILENT, whole: bool = False) -> tuple[np.ndarray, list[Phone]]:
        """16 kHz samples and their phones, a stop's from where its closure begins: what is below `quiet` before it.
        whole: diphthongs and affricates are one phone, as the aligner has them."""
        self._sounds.clear()
        self._events.clear()
        self._become(voice)
        spoken = text.encode()
        self._library.espeak_Synth(spoken, len(spoken) + 1, 0, 0, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        sound = np.concatenate(self._sounds)
        events = [(start, _TIE.sub("\\g<0>͡", ipa) if whole else ipa) for start, ipa in self._events]
        found = list(phones(events, len(sound) / self._rate, voice.startswith("en")))
        closed = [
            replace(p, start=p.start - self._closed(sound, p.start, quiet)) if p.name in "PB" else p for p in found
        ]
        starts = [p.start for p in closed[1:]]
        parted = [replace(p, end=min(p.end, after)) for p, after in zip(closed, [*starts, np.inf], strict=True)]
        return audio.resample(sound, self._rate), parted

    def _closed(self, sound: np.ndarray, moment: float, quiet: float) -> float:
        """Seconds of silence right before a moment."""
        last = round(moment * self._rate)
        before = np.abs(sound[max(0, last - round(_LONGEST * self._rate)) : last][::-1]) > quiet
        return float(before.argmax() if before.any() else len(before)) / self._rate


def phones(events: list[tuple[float, str]], length: float, english: bool) -> Iterator[Phone]:
    """Events as phones; a diphthong's or an affricate's parts share its time, what has no name is silence. Elsewhere
    than in English an m before f or v brings lip to teeth (export/pronounce.py)."""
    starts = [start for start, _ in events]
    following = [ipa for _, ipa in events[1:]]
    for (start, ipa), end, after in zip(events, [*starts[1:], length], [*following, ""], strict=True):
        bitten = not english and ipa == "m" and re.match("[fvɱ]", after)
        names = arpabet("n" if bitten else ipa) or (SILENCE,)
        step = (end - start) / len(names)
        for i, name in enumerate(names if step > 0 else ()):
            yield Phone(name, start + i * step, start + (i + 1) * step)
