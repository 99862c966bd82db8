"""Words that the dictionary does not hold, numbers, and other languages: espeak-ng's phonemes as the aligner's phones.

espeak-ng (GPL-3.0-or-later) is a program of the system: `apt install espeak-ng`. The aligner knows 39 English phones;
sounds of other languages are heard as the nearest of them by place and lips, for it is lips that are judged: the
Spanish b between vowels, where lips come near and do not touch, is a V.
"""

import re
import subprocess
from functools import lru_cache

#: IPA as espeak-ng writes it -> ARPABET; the longest match counts. French and Spanish follow English.
_PHONES = {
    "t͡ʃ": "CH", "d͡ʒ": "JH", "e͡ɪ": "EY", "a͡ɪ": "AY", "ɔ͡ɪ": "OY", "a͡ʊ": "AW", "o͡ʊ": "OW", "ə͡ʊ": "OW",
    "ɪ͡ɹ": "IH R", "iː": "IY", "uː": "UW", "ɑː": "AA", "ɔː": "AO", "oː": "AO", "ɜː": "ER", "ɛ": "EH", "æ": "AE",
    "ɐ": "AH", "ə": "AH", "ʌ": "AH", "ɪ": "IH", "ᵻ": "IH", "i": "IY", "ʊ": "UH", "u": "UW", "ɔ": "AO", "ɑ": "AA",
    "ɒ": "AA", "ɚ": "ER", "ɜ": "ER",
    "a": "AA", "e": "EY", "o": "OW", "y": "UW", "ø": "ER", "œ": "ER", "ɥ": "W",
    "p": "P", "b": "B", "m": "M", "f": "F", "v": "V", "t": "T", "d": "D", "n": "N", "s": "S", "z": "Z", "k": "K",
    "ɡ": "G", "g": "G", "ŋ": "NG", "l": "L", "ɫ": "L", "ɹ": "R", "r": "R", "ɾ": "D", "ʁ": "HH", "w": "W", "j": "Y",
    "h": "HH", "x": "HH", "θ": "TH", "ð": "DH", "ʃ": "SH", "ʒ": "ZH", "β": "V", "ɣ": "G", "ɲ": "N Y", "ʎ": "Y",
    "ʝ": "Y", "ʔ": "T", "ɱ": "N", "ç": "HH",
    "ʋ": "V", "ɵ": "UH", "ʉ": "UW", "ɨ": "IH", "ʲ": "Y", "c": "K", "ɟ": "G", "ɭ": "L", "ʂ": "SH", "ɧ": "SH", "ɕ": "S",
    "ʑ": "Z", "ʈ": "T", "ɖ": "D", "ɳ": "N", "ɻ": "R", "q": "K", "χ": "HH", "ħ": "HH", "ʕ": "HH", "ʀ": "HH", "ɬ": "L",
    "ʦ": "T S", "ɓ": "B", "ɗ": "D", "ɯ": "IH", "ä": "AA",
}  # fmt: skip
_LONGEST = max(map(len, _PHONES))


@lru_cache(maxsize=20000)
def pronounce(word: str, language: str = "en-us") -> tuple[str, ...]:
    """One word, or a number in digits, as phones; empty where espeak-ng says nothing. OSError without espeak-ng."""
    command = ["espeak-ng", "-q", "--ipa", "--tie=͡", "-v", language, word]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ipa = re.sub(r"\([a-z-]+\)", "", said)
    # Spanish brings lip to teeth in "nf" and "nv"; espeak-ng writes an m there, but the lips do not meet
    return arpabet(ipa if language.startswith("en") else re.sub("m(?=[fvɱ])", "n", ipa))


def arpabet(ipa: str) -> tuple[str, ...]:
    """IPA -> phones; stress, length and what is not in the table are passed over."""
    phones: list[str] = []
    place = 0
    while place < len(ipa):
        for size in range(_LONGEST, 0, -1):
            if ipa[place : place + size] in _PHONES:
                phones += _PHONES[ipa[place : place + size]].split()
                break
        place += size
    return tuple(phones)
