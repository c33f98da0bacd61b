"""The id of a run, and the one parser of every text that is taken for one.

Labels, names and files that say whose something is were written by whoever made it. So a text is an
id only after it was parsed here, and what computes a path or a name from an id demands this type.
"""

from __future__ import annotations

import re
import secrets
import string
from typing import Self

_LETTERS = string.digits + string.ascii_lowercase
_LENGTH = 6
_SHAPE = re.compile(rf"k5-[0-9a-z]{{{_LENGTH}}}")
# What a machine may be called: a host name of one part (RFC 1123), in small letters.
_MACHINE = re.compile(r"[0-9a-z](?:[0-9a-z-]{0,61}[0-9a-z])?")
# How much of a text that is no id is quoted.
_QUOTED = 60


class NotARunIdError(ValueError):
    """A text is no run's id; the message is the end of a sentence."""


class RunId(str):
    """A run's id, such as `k5-4fz09c`: letters that every tool takes in a name."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Return `text` as an id; raises `NotARunIdError` for any other text."""
        if _SHAPE.fullmatch(text) is None:
            raise NotARunIdError(f"{text[:_QUOTED]!r} is no lab's id")
        return super().__new__(cls, text)

    @classmethod
    def new(cls) -> Self:
        """Return an id by chance, one of two thousand million."""
        return cls("k5-" + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH)))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return `text` as an id, None where it is none."""
        return cls(text) if _SHAPE.fullmatch(text) else None

    @classmethod
    def of_machine(cls, name: str) -> Self | None:
        """Return the id of the run that a container or VM is named after, None where of none."""
        run_id = cls.of(name)
        return run_id if run_id and is_machine_name(name[len(run_id) + 1 :]) else None

    @classmethod
    def of(cls, name: str) -> Self | None:
        """Return the id that `name` begins with, before a dash, None where it begins otherwise."""
        found = _SHAPE.match(name)
        if found is None or not name.startswith("-", found.end()):
            return None
        return cls(found.group())


def is_machine_name(text: str) -> bool:
    """Return whether a machine may be called `text`."""
    return _MACHINE.fullmatch(text) is not None
