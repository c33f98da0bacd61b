"""A row of the table: a kind of failure, the words it is known by, its sentence and its remedy."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Of(Enum):
    """Whose words a row takes."""

    SSH = auto()
    SUDO = auto()
    DOCKER = auto()
    LIBVIRT = auto()
    VIRTUALBOX = auto()
    VAGRANT = auto()
    K0SCTL = auto()
    KUBECTL = auto()


class Row(NamedTuple):
    """One kind of failure, and not one text: what a program's versions have said of it.

    `words` are looked for in each line, and `also`, where there is one, has to be in another. In
    the sentence and in the remedy `{name}` is the group of that name in either, `{name_}` the same
    quoted for a shell. No pattern may take longer than in proportion to the square of a line.
    """

    of: Of
    words: str
    happened: str
    remedy: str
    also: str = ""


REINSTALLED = (
    "find out why: only if that machine was installed anew, or its address now is another"
    " machine's, "
)
