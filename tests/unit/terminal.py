"""A terminal for tests: a stream that says it is one, and the screen that it would show."""

from __future__ import annotations

import io
import re

_PIECES = re.compile(r"\x1b\[(\d*)([A-Za-z])|([^\x1b])", re.DOTALL)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(said: str) -> list[str]:
    """Return the lines that stand on an endless screen; any other order than ours is a failure."""
    lines, row, column = [""], 0, 0
    for number, order, character in _PIECES.findall(said.replace("\r\n", "\n")):
        if character == "\n":
            row, column = row + 1, 0
            if row == len(lines):
                lines.append("")
        elif character == "\r":
            column = 0
        elif character:
            lines[row] = f"{lines[row][:column]:<{column}}{character}{lines[row][column + 1 :]}"
            column += 1
        elif order == "A":
            row -= int(number or 1)
        elif order == "K":
            assert number == "2"
            lines[row] = ""
        else:
            assert order == "m", order
    return lines if lines[-1] else lines[:-1]
