"""The networks as onnxruntime sessions: where their files lie, on what they run, and what really loaded."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import onnxruntime

from . import cancel
from .errors import ModelError

#: The preference a person chooses -> execution providers to try, best first. CPU always follows.
DEVICES = {
    "auto": ("CUDAExecutionProvider",),
    "cuda": ("CUDAExecutionProvider",),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
    "directml": ("DmlExecutionProvider",),
    "coreml": ("CoreMLExecutionProvider",),
    "cpu": (),
}
CPU = "CPUExecutionProvider"
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Device:
    """What onnxruntime really runs on, with a sentence where that is not what was asked for."""

    provider: str
    note: str


@dataclass(frozen=True)
class _Settings:
    threads: int = 0
    folder: Path | None = None


_settings = _Settings()


def configure(threads: int = 0, folder: Path | None = None) -> None:
    """Threads of each network (0: as FREETALK_THREADS says, else onnxruntime decides) and a folder of other networks;
    loaded ones are let go."""
    global _settings
    wanted = _Settings(threads, folder)
    if wanted != _settings:
        _settings = wanted
        forget()


def folder() -> Path:
    """Where the .onnx files lie: as configured, else FREETALK_MODELS, the package, or beside it in the checkout."""
    if _settings.folder is not None:
        return _settings.folder
    if "FREETALK_MODELS" in os.environ:
        return Path(os.environ["FREETALK_MODELS"])
    installed = _PACKAGE / "onnx_models"
    return installed if installed.is_dir() else _PACKAGE.parent / "onnx_models"


def path(name: str) -> Path:
    """The file of one network; ModelError where it is missing."""
    file = folder() / f"{name}.onnx"
    if not file.is_file():
        raise ModelError(f"The network {file.name} is missing from {file.parent}; install FreeTalk again.")
    return file


def _available(device: str) -> list[str]:
    if device not in DEVICES:
        raise ModelError(f"Unknown device {device!r}; choose one of {', '.join(DEVICES)}.")
    installed = onnxruntime.get_available_providers()
    wanted = [provider for provider in DEVICES[device] if provider in installed]
    if "CUDAExecutionProvider" in wanted and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    return [*wanted, CPU]


def session(name: str, device: str = "auto") -> onnxruntime.InferenceSession:
    """The network's session on the device asked for, on the CPU where that does not load; ModelError if damaged.

    Raises Cancelled where the network's answer is not wanted any more (cancel.py).
    """
    cancel.check()
    return _loaded(name, device)


def forget() -> None:
    """Let go of the networks that are loaded."""
    _loaded.cache_clear()


@lru_cache(maxsize=16)
def _loaded(name: str, device: str) -> onnxruntime.InferenceSession:
    file = path(name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # who waits leaves its core to others
    options.log_severity_level = 4  # a provider that does not load is told by `device_report`, in one sentence
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=_available(device))
    except ModelError:
        raise
    except Exception as error:  # onnxruntime raises many unrelated types for a damaged or foreign file
        reason, weights = str(error).splitlines()[0][:200], file.with_suffix(".data")
        if name == "speech_encoder" and not weights.is_file():
            raise ModelError(
                f"The weights {weights} are missing, for git does not hold them; run `python3 build.py setup` in the "
                "checkout, which fetches them, and where FreeTalk was installed from it, install it again."
            ) from error
        raise ModelError(f"The network {file} cannot be loaded ({reason}); install FreeTalk again.") from error


def _threads() -> int:
    """As configured, else as FREETALK_THREADS says; 0: onnxruntime decides."""
    said = os.environ.get("FREETALK_THREADS", "")
    return _settings.threads or (int(said) if said.isdecimal() else 0)


def metadata(name: str) -> dict[str, str]:
    """The network's own metadata: version, unit, licence, training data."""
    return dict(session(name, "cpu").get_modelmeta().custom_metadata_map)


def device_report(name: str, device: str = "auto") -> Device:
    """What the network really runs on, read back from its session."""
    provider = session(name, device).get_providers()[0]
    installed = onnxruntime.get_available_providers()
    expected = [wanted for wanted in DEVICES[device] if device != "auto" or wanted in installed]
    if not expected or provider in expected:
        return Device(provider, "")
    reason = (
        "its libraries did not load" if expected[0] in installed else f"this onnxruntime has {', '.join(installed)}"
    )
    return Device(provider, f"{expected[0]} is not available ({reason}); running on {provider}.")
