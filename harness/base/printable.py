r"""Text that others wrote, as a terminal may show it: nothing in it is obeyed, nothing hides.

A terminal takes some characters for orders: escape sequences move the cursor, rename the window or
answer as if the user had typed; bidi controls show a line in another order than it is in; others
show nothing, so that two different names look alike. All of them are written as Python writes them
in a string (`\x1b`, `\u202e`): a person can read what was there, and search for it.

Started before there is a virtual environment: only the standard library is imported.
"""

from __future__ import annotations

import functools
import shlex
import unicodedata

# Letters and marks that show nothing, by Unicode's Default_Ignorable_Code_Point. Variation
# selectors are among those, too; emoji and ideographs need them, and they follow what is seen.
_SHOW_NOTHING = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")


def printable(text: str) -> str:
    """Return `text` with everything visible but line ends and tabs; the second time is the same.

    Ordinary text of every language stays as it is. What joins emoji and some scripts' letters
    (U+200D, U+200C) is shown like every format character. A line end of Windows becomes a plain
    one. A lone carriage return is shown: obeyed, it would write over the line's beginning, and as
    a line end it would let a piece of foreign text pass for a line of ours.
    """
    return text.replace("\r\n", "\n").translate(_LINES)


def printable_line(text: str) -> str:
    """Return `printable(text)` in one line: line ends and tabs are visible as well."""
    return text.translate(_ONE_LINE)


def pasted(*words: str) -> str:
    r"""Return `words` as a command line that a person can paste into a shell.

    What is not printable stands as its bytes in bash's `$'\x1b'`, which names the same word.
    """
    return " ".join(map(_word, words))


# A diagnosis names the same commands again and again.
@functools.lru_cache(maxsize=4096)
def _word(word: str) -> str:
    if printable_line(word) == word:
        return shlex.quote(word)
    return f"$'{''.join(map(_in_quotes, word))}'"


def _in_quotes(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if printable_line(character) == character:
        return character
    # Python has a byte of a file's name that is no UTF-8 as U+DC80 to U+DCFF.
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors=errors))


class _Shown(dict[int, str]):
    """A table for `str.translate`, filled as characters come."""

    def __init__(self, kept: str) -> None:
        super().__init__({ord(character): character for character in kept})

    def __missing__(self, code: int) -> str:
        character = chr(code)
        # Blanks that are not ASCII's (Zs) are not "printable" in Python's sense, but they show.
        shows = character.isprintable() or unicodedata.category(character) == "Zs"
        if not shows or character in _SHOW_NOTHING:
            character = character.encode("unicode_escape").decode("ascii")
        self[code] = character
        return character


_LINES = _Shown("\n\t")
_ONE_LINE = _Shown("")
