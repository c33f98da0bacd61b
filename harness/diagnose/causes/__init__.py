"""The causes, one module each, in the order in which they are asked.

A cause is added by its word in `harness.vocabulary.words.Cause`, at its place in that order, and by
the module of that name here.
"""

from __future__ import annotations

from importlib import import_module

from harness.diagnose.causes.kind import CauseKind
from harness.vocabulary.words import Cause


def _kind(cause: Cause) -> CauseKind:
    module = import_module(f"{__name__}.{cause.name.lower()}")
    kind: CauseKind = module.KIND
    return kind


KINDS: tuple[CauseKind, ...] = tuple(_kind(each) for each in Cause if each is not Cause.UNKNOWN)
"""Every cause there is; the first that is shown and has no rival left is named."""
