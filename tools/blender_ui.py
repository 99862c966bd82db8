"""A person at Blender's window: finds buttons by what they do, clicks, types, waits, takes pictures.

The mouse and the keys are X's (xdotool). Where a button lies is asked of Blender: the mouse moves until it names the
button's property or operator under it, as its "Copy Data Path" and "Copy Python Command" do.
"""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .desktop import SCREEN, Screen, find, screen

_DRIVER = Path(__file__).with_name("ui_driver.py")
#: Seconds between two clicks that are one double-click, even where the machine is busy with something else.
DOUBLE_CLICK = 1.0
#: Pixels between two looks; buttons are 20 high.
_STEP = 17
_START_SECONDS = 90
#: Turns of Blender's main loop, each at least .02 s: the first drawing, the opening of a dialog, a panel that slides.
_MANY, _SOME, _FEW = 50, 10, 5
#: Seconds that a file browser may take to read a folder.
_READ_SECONDS = 60
_HELPERS = (
    f"STILL = {_FEW}"
    + '''
def _places(area, region):
    """Every region of that kind on screen: (window, area, region)."""
    for window in bpy.context.window_manager.windows:
        for place in window.screen.areas:
            if place.type == area:
                yield from ((window, place, part) for part in place.regions if part.type == region and part.width > 1)

def box(area, region):
    """[left, top, width, height] in pixels from the top left; None where no such region is there."""
    found = [(w, r) for w, _, r in _places(area, region)]
    if not found:
        return None
    window, part = found[-1]
    return [part.x, window.height - part.y - part.height, part.width, part.height]

def hovered(area, region):
    """What the button under the mouse does: a property's path and an operator's call, each '' where there is none."""
    window, place, part = list(_places(area, region))[-1]
    manager = bpy.context.window_manager
    said = []
    with bpy.context.temp_override(window=window, area=place, region=part):
        for copy in (bpy.ops.ui.copy_data_path_button, bpy.ops.ui.copy_python_command_button):
            manager.clipboard = ""
            if copy.poll():
                try:
                    copy()
                except RuntimeError:
                    pass
            said.append(manager.clipboard)
    return said

def under(button, area, region):
    """Is the mouse on that button?"""
    path, call = hovered(area, region)
    return path == button or path.endswith("." + button) or button in call

def search(button, area, region, points):
    """Move the mouse over points until the button is under it, and stays; that point, None where it is under none."""
    for x, y in points:
        window, _, _ = list(_places(area, region))[-1]
        window.cursor_warp(x, window.height - y)
        yield
        yield
        if under(button, area, region):
            yield from range(STILL)  # a panel that still slides to its place takes it away again
            if under(button, area, region):
                return [x, y]
'''
)


class UiError(AssertionError):
    """What a person at the window would say is wrong."""


@dataclass
class Ui:
    """A running Blender. Positions are pixels from the window's top left."""

    screen: Screen
    process: subprocess.Popen
    socket: Path
    #: Clicks of the left button so far, which is what a user guide counts.
    clicks: int = 0
    _seen: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)

    # --- Blender's own words ---

    def ask(self, code: str) -> Any:
        """What a piece of Python leaves in `answer` in Blender; UiError with its traceback where it raises."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(300)
            connection.connect(str(self.socket))
            with connection.makefile("rw", encoding="utf-8") as stream:
                stream.write(json.dumps({"code": code}) + "\n")
                stream.flush()
                line = stream.readline()
        if not line:
            raise UiError(f"Blender ended while it was asked: {code[:200]}")
        reply = json.loads(line)
        if "error" in reply:
            raise UiError(reply["error"])
        return reply["answer"]

    def value(self, expression: str) -> Any:
        return self.ask(f"answer = {expression}")

    def wait(self, expression: str, seconds: float = 60) -> float:
        """Wait until an expression is true in Blender; the seconds it took."""
        start = time.perf_counter()
        while not self.value(expression):
            if time.perf_counter() - start > seconds:
                raise UiError(f"after {seconds} s it is still not so: {expression}")
            time.sleep(0.05)
        return time.perf_counter() - start

    def lag(self) -> float:
        """Seconds that Blender's main loop takes to go round, on this machine, now."""
        start = time.perf_counter()
        self.settle()
        return (time.perf_counter() - start) / 2

    # --- mouse and keys ---

    def move(self, x: float, y: float) -> None:
        self.screen.run("xdotool", "mousemove", round(x), round(y))

    def click(self, x: float | None = None, y: float | None = None) -> None:
        """Click where the mouse is, or there."""
        if x is not None and y is not None:
            self.move(x, y)
        self.settle()
        self.clicks += 1
        self.screen.run("xdotool", "click", 1)

    def key(self, *keys: str) -> None:
        """Press keys where the mouse is, as xdotool names them: n, ctrl+z, Escape."""
        self.screen.run("xdotool", "key", *keys)

    def scroll(self, notches: int) -> None:
        """Turn the wheel where the mouse is; less than 0 is away from the person."""
        self.screen.run("xdotool", "click", "--repeat", abs(notches), "--delay", 30, 5 if notches > 0 else 4)
        self.settle()

    def drop(self, operator: str, **properties: str) -> None:
        """Drop a file on the viewport: Blender answers a drop by invoking an operator with the file's path."""
        left, top, width, height = self.box("VIEW_3D", "WINDOW")
        self.move(left + width * 0.4, top + height * 0.45)
        self.settle()
        self.ask(f"""
window, place, part = next(_places("VIEW_3D", "WINDOW"))
with bpy.context.temp_override(window=window, area=place, region=part):
    bpy.ops.{operator}("INVOKE_DEFAULT", **{properties!r})
""")
        self.settle(_SOME)

    def confirm(self) -> None:
        """Take the button that the dialog under the mouse offers, here by Return."""
        self.clicks += 1
        self.key("Return")
        self.settle()

    # --- buttons ---

    def find(self, button: str, across: float = 0.6, area: str = "VIEW_3D", region: str = "UI") -> tuple[int, int]:
        """Put the mouse on a button; its place.

        button: the end of a property's path, or part of an operator's call. across: where to look, as a share of the
        region's width. UiError where there is no such button.
        """
        key = (button, area, region)
        seen = [self._seen[key]] if key in self._seen else []
        for notches in (-12, 8, 8, 8):
            points = [*seen, *self._column(across, area, region)]
            found = self.value(f"search({button!r}, {area!r}, {region!r}, {points})")
            if found:
                self._seen[key] = found[0], found[1]
                return self._seen[key]
            self._scroll(area, region, notches)
        raise UiError(f"no button {button} at {across} of the {region} region of {area}")

    def press(self, button: str, across: float = 0.6, area: str = "VIEW_3D", region: str = "UI") -> None:
        """Click a button that is found by what it does."""
        self.find(button, across, area, region)
        self.click()

    def tab(self, name: str) -> None:
        """Open the sidebar's tab of that name."""
        left, top, width, height = self.box("VIEW_3D", "UI")
        category = "list(_places('VIEW_3D', 'UI'))[-1][2].active_panel_category"
        for y in range(top + 10, top + height, 20):
            if self.value(category) == name:
                break
            self.screen.run("xdotool", "mousemove", left + width - 8, y, "click", 1)
            self.settle()
        else:
            raise UiError(f"the sidebar has no tab {name}")
        self.clicks += 1

    def choose(self, name: str, see: Callable[[], object] = lambda: None) -> None:
        """Double-click a file in the file browser that is open; see() is called when the mouse is on it."""
        self.wait("box('FILE_BROWSER', 'WINDOW') is not None")
        start = time.perf_counter()
        while not self._pick(name):  # the folder is read in the background
            if time.perf_counter() - start > _READ_SECONDS:
                raise UiError(f"the file browser does not show {name}")
        see()
        time.sleep(1.5 * DOUBLE_CLICK)  # or the next click would be the second of a double one
        self.clicks += 1
        self.screen.run("xdotool", "click", "--repeat", 2, "--delay", 60, 1)
        self.wait("box('FILE_BROWSER', 'WINDOW') is None")

    def _pick(self, name: str) -> bool:
        """Click on one file after the other until this one is chosen."""
        chosen = "list(_places('FILE_BROWSER', 'WINDOW'))[-1][1].spaces.active.params.filename"
        left, top, width, height = self.box("FILE_BROWSER", "WINDOW")
        for y in range(top + 30, top + height, _STEP):
            self.screen.run("xdotool", "mousemove", left + width // 4, y, "click", 1)
            self.settle()
            if self.value(chosen) == name:
                return True
        return False

    def settle(self, turns: int = 2) -> None:
        """Let Blender's main loop go round, so that it has seen what the mouse and the keys did.

        xdotool ends when the X server has its events; a turn may have begun by then, the one after it reads them.
        """
        for _ in range(turns):
            self.value("None")

    def box(self, area: str, region: str) -> tuple[int, int, int, int]:
        found = self.value(f"box({area!r}, {region!r})")
        if found is None:
            raise UiError(f"no {region} region of {area} on the screen")
        left, top, width, height = found
        return left, top, width, height

    def _column(self, across: float, area: str, region: str) -> Iterator[tuple[int, int]]:
        left, top, width, height = self.box(area, region)
        for y in range(top + _STEP // 2, top + height, _STEP):
            yield left + round(across * width), y

    def _scroll(self, area: str, region: str, notches: int) -> None:
        left, top, width, height = self.box(area, region)
        self.move(left + width / 2, top + height / 2)
        self.scroll(notches)

    # --- pictures ---

    def picture(self, path: Path, width: int = SCREEN[0]) -> Path:
        """The whole screen, when Blender has drawn what it has to; the suffix says the format."""
        self.value("[area.tag_redraw() for area in bpy.context.window.screen.areas]")
        time.sleep(1 + 10 * self.lag())  # panels slide to their places
        taken = self.screen.share / f"picture{path.suffix}"
        self.screen.run("import", "-window", "root", "-resize", f"{width}x", "-quality", 76, self.screen.inside(taken))
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(taken, path)
        return path


@contextmanager
def blender(share: Path) -> Iterator[Ui]:
    """A fresh Blender of its own settings on a screen of its own; desktop.NoDesktopError where there can be none."""
    shutil.rmtree(share, ignore_errors=True)
    share.mkdir(parents=True)
    shutil.copy2(_DRIVER, share)
    path = share / "socket"
    with screen(find(), share) as display:
        size = ("--window-geometry", 0, 0, *SCREEN)
        words = (
            display.blender.executable,
            "--factory-startup",
            *size,
            "--python",
            display.inside(share / _DRIVER.name),
            "--",
            display.inside(path),
        )
        process = display.start(*words, log=share / "blender.log")
        ui = Ui(display, process, path)
        try:
            _wait_for_start(ui)
            yield ui
        finally:
            process.kill()
            process.wait()


def _wait_for_start(ui: Ui) -> None:
    start = time.perf_counter()
    while True:
        try:
            ui.ask(_HELPERS)
            break
        except OSError:
            if ui.process.poll() is not None or time.perf_counter() - start > _START_SECONDS:
                raise UiError(f"Blender did not start; its words are in {ui.screen.share / 'blender.log'}") from None
            time.sleep(0.2)
    ui.ask(f"bpy.context.preferences.inputs.mouse_double_click_time = {round(1000 * DOUBLE_CLICK)}")
    ui.settle(_MANY)
