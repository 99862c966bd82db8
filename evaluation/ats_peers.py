"""Open viseme detectors as baselines, headless: wawa-lipsync and headaudio (npm, by node) and openfacefx (PyPI).

They are fetched into a folder outside the repository:

    cd DIR && npm pack wawa-lipsync@0.0.2 @met4citizen/headaudio@0.1.0
    for name in wawa-lipsync-0.0.2 met4citizen-headaudio-0.1.0; do mkdir $name && tar xzf $name.tgz -C $name; done
    pip install --no-deps --target DIR/openfacefx openfacefx==0.24.0

Each answers with the same 15 visemes, which become lips by the postures written down here. openfacefx is no detector:
it is heard once through the loudness alone, once with the true phones.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from evaluation.ats_rules import Speaker
from export import ats_data
from freetalk_blender.core.voice import audio, speech

VISEMES = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U")
#: What each viseme asks of our controls (weights of ICT-FaceKit's shapes).
POSTURES: dict[str, dict[str, float]] = {
    "sil": {}, "PP": {}, "FF": {"jawOpen": 0.05, "mouthRollLower": 0.4, "mouthUpperUp": 0.15},
    "TH": {"jawOpen": 0.12, "mouthLowerDown": 0.15}, "DD": {"jawOpen": 0.1, "mouthLowerDown": 0.15},
    "kk": {"jawOpen": 0.14, "mouthLowerDown": 0.15}, "CH": {"jawOpen": 0.08, "mouthFunnel": 0.35},
    "SS": {"jawOpen": 0.05, "mouthLowerDown": 0.25, "mouthStretch": 0.15}, "nn": {"jawOpen": 0.1},
    "RR": {"jawOpen": 0.1, "mouthFunnel": 0.2}, "aa": {"jawOpen": 0.35, "mouthLowerDown": 0.2},
    "E": {"jawOpen": 0.22, "mouthStretch": 0.15, "mouthLowerDown": 0.2}, "I": {"jawOpen": 0.12, "mouthStretch": 0.3},
    "O": {"jawOpen": 0.25, "mouthFunnel": 0.3}, "U": {"jawOpen": 0.1, "mouthPucker": 0.5},
}  # fmt: skip
#: The rate that a browser's audio has.
_BROWSER_RATE = 48000
_NODE = Path(__file__).with_name("peers.mjs")

Detector = Callable[[np.ndarray], np.ndarray]
"""16 kHz samples -> (T,15) activations of VISEMES at 50 Hz."""


def detectors(folder: Path, speaker: Speaker) -> dict[str, Detector]:
    """Every peer in the folder; openfacefx once from loudness and once from the true phones."""
    folder = folder.resolve()  # node takes a relative path for the name of a package
    sys.path.insert(0, str(folder / "openfacefx"))
    return {
        "wawa-lipsync": lambda samples: _node(folder / "wawa-lipsync-0.0.2/package", "wawa", samples),
        "headaudio": lambda samples: _node(folder / "met4citizen-headaudio-0.1.0/package", "head", samples),
        "openfacefx, loudness": _from_loudness,
        "openfacefx, true phones": lambda samples: _from_phones(samples, speaker),
    }


def posed() -> np.ndarray:
    """(15,K) controls of each viseme by POSTURES."""
    return np.array([[POSTURES[viseme].get(name, 0.0) for name in ats_data.CONTROLS] for viseme in VISEMES], np.float32)


def _node(package: Path, kind: str, samples: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        heard, answer = Path(folder) / "heard", Path(folder) / "answer"
        audio.resample(samples, audio.SPEECH_RATE, _BROWSER_RATE).astype("<f4").tofile(heard)
        command = ["node", "--no-warnings", str(_NODE), str(package), kind]
        subprocess.run(command, input=f"{heard}\t{answer}\n", text=True, check=True, capture_output=True)
        return _fitted(np.fromfile(answer, "<f4").reshape(-1, len(VISEMES)), samples)


def _from_loudness(samples: np.ndarray) -> np.ndarray:
    from openfacefx import generate_from_energy

    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "heard.wav"
        soundfile.write(wav, samples, audio.SPEECH_RATE, subtype="PCM_16")
        return _sampled(generate_from_energy(str(wav), fps=speech.FEATURE_RATE), samples)


def _from_phones(samples: np.ndarray, speaker: Speaker) -> np.ndarray:
    from openfacefx import PhonemeSegment, generate_from_alignment

    segments = [PhonemeSegment(phone.name, max(phone.start, 0.0), phone.end) for phone in speaker(samples)]
    return _sampled(generate_from_alignment(segments, fps=speech.FEATURE_RATE), samples)


def _sampled(track, samples: np.ndarray) -> np.ndarray:
    """A FaceTrack's channels as (T,15)."""
    times = np.arange(-(-len(samples) // speech.HOP)) / speech.FEATURE_RATE
    curves = {
        channel.name: np.interp(times, [key.time for key in channel.keys], [key.value for key in channel.keys])
        for channel in track.channels
        if channel.keys
    }
    return np.stack([curves.get(name, np.zeros(len(times))) for name in VISEMES], 1).astype(np.float32)


def _fitted(rows: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """As many rows as the sound has feature frames."""
    frames = -(-len(samples) // speech.HOP)
    return np.pad(rows, ((0, max(0, frames - len(rows))), (0, 0)), mode="edge")[:frames]
