"""ATS on a robot that says when it says what: `python -m evaluation.ats_robot`.

An aligner knows a stop by its burst, and may call the closure before it a pause. espeak-ng tells (export/espeak.py).
So its voices that training never heard are judged here by their own times, with the checks of evaluation/ats_phones.py
and nothing aligned; so are languages for which the aligner's English ears will not do.
"""

from dataclasses import replace
from itertools import islice

import numpy as np

from evaluation.ats import table
from evaluation.ats_phones import Spoken, judge, lips
from export import aligned, command, espeak, voices
from export.synthesisers import Voice
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.voice import audio

#: Voices in further languages, of a throat that training never heard; Cantonese was never heard at all.
FURTHER = tuple(
    Voice("espeak-ng", f"{name}+f4", True, name.partition("-")[0])
    for name in ("tr", "ar", "hi", "id", "vi", "cmn-latn-pinyin", "yue", "ja", "ko")
)


def animate(robot: espeak.Robot, voice: Voice, text: str) -> Spoken:
    """Our lips on one sentence, with silence around it as around the recordings of export/voices.py."""
    sound, phones = robot.say(voice.name, text)
    samples = np.pad(sound, round(aligned.AROUND * audio.SPEECH_RATE))
    spoken = [replace(p, start=p.start + aligned.AROUND, end=p.end + aligned.AROUND) for p in phones]
    return Spoken(voice.title, spoken, *lips(samples))


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--limit", type=whole_number(1), help="sentences of each voice (all)")
    arguments = parser.parse_args()
    robot = espeak.Robot()
    rows = {}
    known = [voice for voice in voices.VOICES if voice.held_out and voice.engine == "espeak-ng"]
    for voice in (*known, *FURTHER):
        said = islice(voices.judged(voice), arguments.limit)
        rows[voice.title] = judge([animate(robot, voice, text) for _, text in said])
    print(table("by its own times", rows))


if __name__ == "__main__":
    command.run(main)
