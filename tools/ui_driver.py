"""Runs inside Blender's window: does what comes over a socket, between Blender's own events.

    blender --python ui_driver.py -- SOCKET

A request is a line of JSON, {"code": PYTHON}; the answer is what the code leaves in `answer`, or its traceback. Where
that is a generator, it goes on once in each turn of Blender's main loop, and what it returns is the answer.
"""

import json
import socket
import sys
import traceback
from collections.abc import Generator

import bpy

_SECONDS = 0.02
_names: dict = {"bpy": bpy}
#: Who waits for a generator, and the generator.
_going_on: list[tuple[socket.socket, Generator]] = []
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


def proceed(generator: Generator) -> dict | None:
    """One turn of a generator; its answer at its end, None before."""
    try:
        next(generator)
    except StopIteration as end:
        return {"answer": end.value}
    except BaseException:
        return {"error": traceback.format_exc()}
    return None


def tell(connection: socket.socket, reply: dict) -> None:
    with connection:
        connection.sendall((json.dumps(reply) + "\n").encode())


def serve(server: socket.socket) -> float:
    """Answer one waiting request, if there is one; a timer of Blender's."""
    if _going_on:
        connection, generator = _going_on[0]
        reply = proceed(generator)
        if reply is not None:
            _going_on.clear()
            tell(connection, reply)
        return _SECONDS
    try:
        connection, _ = server.accept()
    except BlockingIOError:
        return _SECONDS
    connection.setblocking(True)
    with connection.makefile("r", encoding="utf-8") as stream:
        reply = perform(json.loads(stream.readline())["code"])
    if isinstance(reply.get("answer"), Generator):
        _going_on.append((connection, reply["answer"]))
    else:
        tell(connection, reply)
    return _SECONDS


def main(path: str) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.setblocking(False)
    server.bind(path)
    server.listen()
    bpy.app.timers.register(lambda: serve(server), first_interval=_SECONDS, persistent=True)


main(sys.argv[sys.argv.index("--") + 1])
