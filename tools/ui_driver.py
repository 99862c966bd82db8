"""Runs inside Blender's window: does what comes over a socket, between Blender's own events.

    blender --python ui_driver.py -- SOCKET

A request is a line of JSON, {"code": PYTHON}; the answer is what the code leaves in `answer`, or its traceback.
"""

import json
import socket
import sys
import traceback

import bpy

_SECONDS = 0.02
_names: dict = {"bpy": bpy}
view = bpy.context.preferences.view
view.show_splash = False
# there is no window manager to place further windows: files are chosen in the one window there is
view.filebrowser_display_type = "SCREEN"


def perform(code: str) -> dict:
    """Run code with the names of earlier requests at hand."""
    _names["answer"] = None
    try:
        exec(code, _names)
    except BaseException:
        return {"error": traceback.format_exc()}
    return {"answer": _names["answer"]}


def serve(server: socket.socket) -> float:
    """Answer one waiting request, if there is one; a timer of Blender's."""
    try:
        connection, _ = server.accept()
    except BlockingIOError:
        return _SECONDS
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        stream.write(json.dumps(perform(json.loads(stream.readline())["code"])) + "\n")
    return _SECONDS


def main(path: str) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.setblocking(False)
    server.bind(path)
    server.listen()
    bpy.app.timers.register(lambda: serve(server), first_interval=_SECONDS, persistent=True)


main(sys.argv[sys.argv.index("--") + 1])
