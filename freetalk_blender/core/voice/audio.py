"""Sound files and arrays as one clean channel: read block by block, mixed, resampled, checked.

Silence is legal (the face stays still); a file that cannot be read, or holds no sample, is an AudioError.
"""

import math
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from numbers import Real
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ..errors import AudioError, UnknownSoundError
from . import joined

#: What the speech encoder hears (Hz).
SPEECH_RATE = 16000
#: Rates that a recording can have (Hz); outside is a damaged header or a wrong argument.
RATES = (1000, 768000)
_BLOCK = 1 << 18
#: A mean of channels with less than this share of the loudest one's energy: they cancel each other.
_CANCELLED = 0.01
#: Larger samples are damage: full scale is 1, or 2^31 in floating-point files that keep the numbers of 32-bit integers.
_LOUDEST = 1e10
#: More channels are samples: the array is (channels, N).
_CHANNELS = 64
#: Formats whose files are whole ones again where they are put one after the other.
_JOINED = frozenset({"OGG", "MP3"})
#: A sound file with more bytes holds more than a header.
_HEADER = 1 << 12
#: Encodings that can be decoded from any frame on as from the first. Others carry over what was before, and in Ogg
#: libsndfile 1.2 comes to a wrong frame, if it does not crash.
_ENTERED = frozenset({"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"})
#: So much before and after a part is decoded too (s): the resampler's filter reaches into it.
_MARGIN = 0.5
#: libsndfile's SF_ERR_UNRECOGNISED_FORMAT, and what it says of FLAC in Ogg.
_UNRECOGNISED = (1, 161)


def load(path: str | Path, channel: int | None = None, part: slice | None = None) -> tuple[np.ndarray, int]:
    """Read a sound file (wav, flac, mp3, ogg, aiff, ...) as (N,) float32 mono at SPEECH_RATE, and that rate.

    channel: the one that is heard, counted from 1; None averages all, but where they cancel each other (one is the
    other's negative) the loudest is taken. Damaged samples (not finite, or huge) count as silence. Memory is bounded by
    the result: the file is read, mixed and resampled block by block.

    part: of these samples the ones that are wanted, `[first:end]`. Of wav, aiff, flac and what else can be entered
    anywhere, only these and a little around them are decoded, and whether channels cancel is judged there.

    Raises AudioError in one sentence where the file is missing, is a folder, is not a sound, is damaged, is empty, or
    has no such channel, or the file holds several recordings; UnknownSoundError where others may read it: its kind is
    not known here, its header says that it is empty and it is not, or it is an mp3 of several recordings.
    """
    file = _existing(path)
    alone = _part(file, channel, part) if part is not None else None
    if alone is not None:
        return alone, SPEECH_RATE
    try:
        with _opened(file) as sound:
            _check_whole(sound.format, file)
            samples = _decoded(sound, _index(channel, sound.channels, f"sound {file}"))
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise _kind(error)(
            f"The sound {file} cannot be read ({_reason(error)}); convert it to wav, flac, mp3 or ogg and try again."
        ) from error
    _check_length(len(samples), file)
    return samples if part is None else samples[part], SPEECH_RATE


def _opened(file: Path) -> soundfile.SoundFile:
    """A sound file, whose name need be no text: old archives have names in other encodings."""
    return soundfile.SoundFile(os.fsencode(file) if os.name == "posix" else str(file))


def _part(file: Path, channel: int | None, part: slice) -> np.ndarray | None:
    """A part of a file's samples without those far from it; None where all have to be decoded to have any of it.

    It begins where a frame of the file and one of the result fall together, as they do again and again.
    """
    with suppress(soundfile.SoundFileError, RuntimeError), _opened(file) as sound:
        if sound.subtype in _ENTERED:
            heard = _index(channel, sound.channels, f"sound {file}")
            both = math.gcd(sound.samplerate, SPEECH_RATE)
            own, target = sound.samplerate // both, SPEECH_RATE // both
            around = math.ceil(_MARGIN * both)
            begin = max(part.start // target - around, 0)
            frames = (math.ceil(part.stop / target) + around - begin) * own
            first = begin * target
            found = _decoded(sound, heard, begin * own, frames)[part.start - first : part.stop - first]
            return found if len(found) else None
    return None


def _decoded(sound: soundfile.SoundFile, channel: int | None, begin: int = 0, frames: int | None = None) -> np.ndarray:
    """A file that was just opened, or so many frames of it from one on, at SPEECH_RATE; channel: its index, None for
    the mean of all, or the loudest where they cancel each other."""
    own, energy = _checked_rate(sound.samplerate), np.zeros(sound.channels + 1)
    if begin:
        sound.seek(begin)
    samples = _concatenate(_resampled(_blocks(sound, energy, channel, frames), own, SPEECH_RATE))
    loudest = _instead_of_mean(energy) if channel is None else None
    if loudest is None:
        return samples
    sound.seek(begin)
    return _concatenate(_resampled(_blocks(sound, energy, loudest, frames), own, SPEECH_RATE))


def file_duration(path: str | Path) -> float:
    """Seconds of a sound file, as its header says; AudioError where it is missing or cannot be read."""
    file = _existing(path)
    try:
        with _opened(file) as sound:
            _check_whole(sound.format, file)
            frames, seconds = sound.frames, sound.frames / sound.samplerate
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise _kind(error)(f"The sound {file} cannot be read ({_reason(error)}); check the path.") from error
    _check_length(frames, file)
    return seconds


def _check_whole(form: str, file: Path) -> None:
    """AudioError for a file of several recordings, of which libsndfile knows the first; UnknownSoundError where others
    know all, as of an mp3: of an Ogg Blender plays the first alone."""
    if form in _JOINED and joined.is_joined(file):
        raise (UnknownSoundError if form == "MP3" else AudioError)(
            f"The sound {file} holds several recordings one after the other, of which only the first would be heard; "
            "convert it to wav or flac and try again."
        )


def _check_length(frames: int, file: Path) -> None:
    """AudioError for a sound without samples; UnknownSoundError where the file is too large for that."""
    if frames:
        return
    if file.stat().st_size > _HEADER:
        raise UnknownSoundError(
            f"The header of the sound {file} says that it is empty, as recorders leave it that did not end; "
            "convert it to wav, flac, mp3 or ogg and try again."
        )
    raise AudioError(f"The sound {file} is empty; choose a recording with speech in it.")


def _existing(path: str | Path) -> Path:
    """The file; AudioError where there is none, or the system does not let it be read."""
    file = Path(path)
    try:
        kind = file.stat().st_mode
        if stat.S_ISREG(kind):
            file.open("rb").close()  # of what the system refuses libsndfile tells nothing
    except (FileNotFoundError, NotADirectoryError):
        raise AudioError(f"The sound {file} does not exist; check the path.") from None
    except OSError as error:
        raise AudioError(f"The sound {file} cannot be read ({error.strerror}); check the path.") from error
    if stat.S_ISDIR(kind):
        raise AudioError(f"The sound {file} is a folder; choose a file in it.")
    if not stat.S_ISREG(kind):
        raise AudioError(f"The sound {file} is no file; check the path.")
    return file


def mono(audio: np.ndarray, channel: int | None = None) -> np.ndarray:
    """(N,) or (N, channels) numbers -> (N,) float32, channels averaged, integers scaled to [-1, 1], damaged -> 0.

    channel: as `load` takes it. Where the channels cancel each other, the loudest is taken.
    Raises AudioError where there is no sample, none is a finite number, no such channel, or the array is no sound.
    """
    array = np.asarray(audio)
    channels = array.shape[1] if array.ndim == 2 else 1
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiu" or channels > _CHANNELS:
        raise AudioError(
            f"Audio must be numbers of shape (N,) or (N, channels), not {array.dtype} of shape {array.shape}."
        )
    if array.size == 0:
        raise AudioError("The audio is empty; choose a recording with speech in it.")
    heard = _index(channel, channels, "audio")
    if heard is not None:
        array = array.reshape(len(array), channels)[:, heard]
    samples = _as_float(array)
    valid = _valid(samples)
    if not valid.any():
        raise AudioError("The audio contains no valid samples; the recording is damaged.")
    if not valid.all():
        samples = np.where(valid, samples, np.float32(0.0))
    if samples.ndim == 1:
        return samples
    mean = samples.mean(axis=1, dtype=np.float32)
    loudest = _instead_of_mean(np.sum([*map(_energy, _slices(samples), _slices(mean))], 0))
    return mean if loudest is None else samples[:, loudest]


def resample(samples: np.ndarray, rate: float, target: int = SPEECH_RATE) -> np.ndarray:
    """(N,) float32 at `rate` -> (about N * target / rate,) float32 at `target`; AudioError for an impossible rate."""
    if _checked_rate(rate) == target:
        return np.asarray(samples, np.float32)
    return _concatenate(_resampled(_slices(samples), rate, target))


def _index(channel: int | None, channels: int, name: str) -> int | None:
    """The index of a channel that is counted from 1; AudioError where the sound has none of that number."""
    if channel is None:
        return None
    if not 1 <= channel <= channels:
        held = "1 channel" if channels == 1 else f"{channels} channels"
        raise AudioError(f"The {name} has {held} and no channel {channel}; choose another one, or all of them.")
    return channel - 1


def _as_float(array: np.ndarray) -> np.ndarray:
    """Float32 in [-1, 1] for integer formats (unsigned ones are centred, as in 8-bit wav)."""
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    half = float(2 ** (8 * array.dtype.itemsize - 1))
    centre = half if array.dtype.kind == "u" else 0.0
    return ((array.astype(np.float64) - centre) / half).astype(np.float32)


def _valid(samples: np.ndarray) -> np.ndarray:
    """Which samples can be of a sound: not NaN, not infinite, and not so large that sums of squares overflow."""
    return np.abs(samples) <= _LOUDEST


def _checked_rate(rate: float) -> float:
    if not isinstance(rate, Real) or not RATES[0] <= rate <= RATES[1]:
        raise AudioError(f"A sample rate of {rate} Hz is not plausible; expected {RATES[0]} to {RATES[1]} Hz.")
    return float(rate)


def _blocks(
    sound: soundfile.SoundFile, energy: np.ndarray, channel: int | None, frames: int | None
) -> Iterator[np.ndarray]:
    """The rest of the file, or so many frames, a block at a time: one channel, None for their mean; `energy` is added
    to as it goes."""
    left = math.inf if frames is None else frames
    while len(block := sound.read(int(min(_BLOCK, left)), dtype="float32", always_2d=True)):
        left -= len(block)
        clean = np.where(_valid(block), block, np.float32(0.0))
        mean = clean.mean(axis=1, dtype=np.float32)
        energy += _energy(clean, mean)
        yield mean if channel is None else clean[:, channel]


def _energy(samples: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(channels + 1,) sums of squares of a block (N, channels) and, the last, of its mean (N,)."""
    return np.append(*(np.einsum("n...,n...->...", each, each) for each in (samples, mean)))


def _instead_of_mean(energy: np.ndarray) -> int | None:
    """The loudest channel where the mean of all has almost nothing of it, by their energy; else None."""
    loudest = int(energy[:-1].argmax())
    return loudest if energy[-1] < _CANCELLED * energy[loudest] else None


def _slices(samples: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(samples), _BLOCK):
        yield np.asarray(samples[start : start + _BLOCK], np.float32)


def _resampled(blocks: Iterator[np.ndarray], rate: float, target: int) -> Iterator[np.ndarray]:
    """The blocks at the target rate; soxr's stream has no seams and no delay."""
    if rate == target:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, target, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _concatenate(blocks: Iterator[np.ndarray]) -> np.ndarray:
    parts = list(blocks)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _kind(error: Exception) -> type[AudioError]:
    return UnknownSoundError if getattr(error, "code", None) in _UNRECOGNISED else AudioError


def _reason(error: Exception) -> str:
    return str(error).rsplit(": ", 1)[-1].strip().rstrip(".")[:120] or type(error).__name__
