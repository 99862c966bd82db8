"""What build.py and its tools share: folders, an environment's Python, a line to the person, commands that may
fail, last too long or run beside others, the pinned packages."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
#: The file in an environment that tells what was installed into it, once all was.
STAMP = "freetalk-stamp"


class BuildError(Exception):
    """One sentence: what is missing and what to do."""


def say(text: str) -> None:
    print(f"[build] {text}", flush=True)


def venv_python(venv: Path) -> Path:
    """The Python of an environment."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(command: list, failure: str, **options) -> None:
    """Run a command; BuildError with one sentence where it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, cwd=ROOT, **options)
    except OSError as error:
        raise BuildError(f"{failure} ({words[0]}: {error.strerror}).") from error
    if done.returncode:
        raise BuildError(f"{failure} ({Path(words[0]).name} ended with {done.returncode}; its own words are above).")


def limited(words: list[str], seconds: float, environment: dict[str, str]) -> int:
    """Run a command in the checkout; after so many seconds it is ended, with all that it started, and has failed."""
    process = subprocess.Popen(words, cwd=ROOT, env=environment, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        say(f"{' '.join(words[2:4])} was ended: it did not finish within {seconds / 60:.0f} minutes")
        return 1
    finally:
        end(process)


@contextmanager
def beside(command: list[str]) -> Iterator[Callable[[], object]]:
    """While a command runs in the background; what it yields waits until that has ended. It does not outlive this."""
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        yield process.wait
    finally:
        end(process)


def end(process: subprocess.Popen) -> None:
    """End a process that leads a session, and all that it started there; on Windows, which has none, itself alone."""
    if process.poll() is not None:
        return
    if os.name == "nt":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)


def ask(python: Path, code: str, failure: str, text: str = "") -> str:
    """What a Python prints that runs this code in the checkout and reads that text; BuildError where it fails."""
    words = [str(python), "-c", code]
    done = subprocess.run(words, cwd=ROOT, input=text, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise BuildError(f"{failure}: {(done.stderr.strip().splitlines() or ['no words'])[-1]}")
    return done.stdout.strip()


def pip_download(python: Path, folder: Path, packages: list[str], options: list[str]) -> None:
    """Fetch these packages, without what they need, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [python, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps", "-d", folder]
    run([*command, *options, *packages], f"{len(packages)} package(s) could not be downloaded; check the network")


def project() -> dict:
    """pyproject.toml, the one home of the pinned packages (read after the right Python is running)."""
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(*groups: str) -> list[str]:
    """Pinned requirements of pyproject.toml: "runtime" is [project.dependencies], the others [dependency-groups]."""
    content = project()
    listed = [content["project"]["dependencies"] if g == "runtime" else content["dependency-groups"][g] for g in groups]
    return [requirement for group in listed for requirement in group]
