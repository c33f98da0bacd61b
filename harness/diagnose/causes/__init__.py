"""The causes, one module each, in the order in which they are asked.

A cause is added by its word in `harness.vocabulary.words.Cause`, at its place in that order, and by
the module of that name here; one that is not kept here, by `register`.
"""

from __future__ import annotations

from importlib import import_module

from harness.diagnose.causes.kind import CauseKind
from harness.vocabulary.words import CAUSES, Cause


def _kind(cause: Cause) -> CauseKind:
    module = import_module(f"{__name__}.{cause.name.lower()}")
    kind: CauseKind = module.KIND
    return kind


KINDS: list[CauseKind] = [_kind(each) for each in Cause if each != Cause.UNKNOWN]
"""Every cause there is; the first that is shown and has no rival left is named."""


def register(kind: CauseKind, *, before: str = Cause.HEALTHY) -> None:
    """Add a cause, which is asked before another one; scenarios and schemas have its word then.

    Raises `ValueError` where there is a cause of that word, or none of the word `before`.
    """
    if kind.cause in CAUSES:
        raise ValueError(f"there is a cause {kind.cause} already")
    at = CAUSES.index(before)
    CAUSES.insert(at, kind.cause)
    KINDS.insert(at, kind)
