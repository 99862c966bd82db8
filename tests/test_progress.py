"""What a terminal shows of a command's steps."""

import io

from freetalk_blender.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(written: str) -> list[str]:
    """The lines of a terminal that knows no escape sequences, without the spaces at their ends."""
    lines, column = [""], 0
    for letter in written:
        if letter == "\n":
            lines.append("")
        if letter in "\r\n":
            column = 0
            continue
        lines[-1] = lines[-1][:column] + letter + lines[-1][column + 1 :]
        column += 1
    return [line.rstrip() for line in lines]


def test_a_bar_is_wiped_out_by_what_follows_it() -> None:
    terminal = Terminal()
    with Progress(terminal) as steps:
        with steps("write a file of a long name.glb") as share:
            share(0.5)
            assert shown(terminal.getvalue()) == ["[" + "#" * 15 + "." * 15 + "] write a file of a long name.glb"]
        steps.say("done")
        first, *rest = shown(terminal.getvalue())
        assert first.endswith(" s  write a file of a long name.glb") and "#" not in first and rest == ["done", ""]
        assert "\x1b" not in terminal.getvalue()


def test_a_file_gets_plain_lines() -> None:
    plain = io.StringIO()
    with Progress(plain) as steps:
        with steps("bake") as share:
            share(0.5)
        assert plain.getvalue().endswith(" s  bake\n") and "\r" not in plain.getvalue()
