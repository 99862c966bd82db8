"""Phones in time: words -> CMU dictionary -> forced alignment by PocketSphinx on a phone-level grammar.

The grammar allows every pronunciation of each word and a silence between any two. Words that the dictionary does not
know, numbers and other languages are pronounced by espeak-ng. (PocketSphinx's own two-pass alignment fails on half of
such recordings.)
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pocketsphinx

from export.pronounce import pronounce

FRAME_RATE = 100
SILENCE = "SIL"
#: PocketSphinx's boundaries come late by about this much (measured on synthetic voices with known times), in seconds.
_LATE = 0.01
_FOLDER = Path(pocketsphinx.get_model_path()) / "en-us"


@dataclass(frozen=True)
class Phone:
    """One phone (ARPABET without stress, or SIL) from start to end in seconds."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Reading:
    """A text's phones in a sound, None where no path through the grammar exists; likelihood: a logarithm that compares
    texts of the same sound."""

    phones: list[Phone] | None
    likelihood: float


class Aligner:
    """Forced alignment of 16 kHz speech with its words. `work` holds the phone dictionary that PocketSphinx reads."""

    def __init__(self, work: Path) -> None:
        dictionary = Path(work) / "phones.dict"
        dictionary.write_text("".join(f"{phone} {phone}\n" for phone in [*self.phones, SILENCE]))
        self._decoder = pocketsphinx.Decoder(
            hmm=str(_FOLDER / "en-us"), dict=str(dictionary), lm=None, beam=1e-120, pbeam=1e-120, wbeam=1e-120,
            fsgusefiller=False, bestpath=False, lw=1.0, wip=1.0, loglevel="FATAL", samprate=16000,
        )  # fmt: skip

    @cached_property
    def pronunciations(self) -> dict[str, list[list[str]]]:
        """Word -> its pronunciations as lists of phones."""
        result: dict[str, list[list[str]]] = {}
        for line in (_FOLDER / "cmudict-en-us.dict").read_text().splitlines():
            word, *phones = line.split()
            result.setdefault(re.sub(r"\(\d+\)$", "", word), []).append(phones)
        return result

    @cached_property
    def phones(self) -> list[str]:
        """The 39 phones."""
        return sorted({phone for forms in self.pronunciations.values() for form in forms for phone in form})

    def align(self, samples: np.ndarray, text: str, language: str = "en-us") -> list[Phone] | None:
        """Phones of 16 kHz samples that say the text, or None where no path through the grammar exists."""
        return self.read(samples, text, language).phones

    def read(self, samples: np.ndarray, text: str, language: str = "en-us") -> Reading:
        """The text as 16 kHz samples say it."""
        transitions, last = self._grammar([self._forms(word, language) for word in words(text)])
        self._decoder.add_fsg("text", self._decoder.create_fsg("text", 0, last, transitions))
        self._decoder.activate_search("text")
        self._decoder.start_utt()
        self._decoder.process_raw((np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
        self._decoder.end_utt()
        best = self._decoder.hyp()
        if best is None:
            return Reading(None, -np.inf)
        found = [(s.word, s.start_frame, s.end_frame + 1) for s in self._decoder.seg() if s.word != "(NULL)"]
        times = [(name, a / FRAME_RATE - _LATE, b / FRAME_RATE - _LATE) for name, a, b in found if b > a]
        return Reading([Phone(name, max(0.0, start), end) for name, start, end in times], float(best.score))

    def _forms(self, word: str, language: str) -> list[list[str]]:
        """The ways to say a word: the dictionary's, else espeak-ng's."""
        known = self.pronunciations.get(word) if language == "en-us" else None
        return known or [list(pronounce(word, language))]

    def _grammar(self, text: list[list[list[str]]]) -> tuple[list[tuple], int]:
        """Words as pronunciations -> (transitions (from, to, probability, phone), final state)."""
        transitions: list[tuple] = [(0, 0, 0.2, SILENCE)]
        state, free = 0, 1
        for forms in filter(any, text):
            end, free = free, free + 1
            for form in filter(None, forms):
                here = state
                for i, phone in enumerate(form):
                    there = end if i == len(form) - 1 else free
                    free += there == free
                    transitions.append((here, there, 1.0, phone))
                    here = there
            transitions.append((end, end, 0.2, SILENCE))
            state = end
        return transitions, state


def words(text: str) -> list[str]:
    """Lower-case words with their apostrophes, and numbers."""
    return [word.strip("'") for word in re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower()) if word.strip("'")]
