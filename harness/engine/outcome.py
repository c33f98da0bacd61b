"""From verdicts, or from what ended a run early, to the outcome and so to the exit code."""

from __future__ import annotations

from collections.abc import Iterable

from harness.base.errors import ExitCode, HarnessError, InconclusiveError
from harness.check.model import Verdict
from harness.engine.events import Outcome


def outcome_of(verdicts: Iterable[Verdict], error: BaseException | None) -> Outcome:
    """Return the outcome; what ended a run early goes before verdicts, of which some are missing.

    An expectation that was plainly not met goes before one that could not be judged. No verdict at
    all is inconclusive: nothing was seen.
    """
    if error is not None:
        return _of_error(error)
    found = set(verdicts)
    if Verdict.NOT_MET in found:
        return Outcome.NOT_MET
    if Verdict.INCONCLUSIVE in found or not found:
        return Outcome.INCONCLUSIVE
    return Outcome.MET


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome of several runs together; of none it is inconclusive."""
    found = set(outcomes)
    return next((each for each in _WORST_FIRST if each in found), Outcome.INCONCLUSIVE)


_WORST_FIRST = (
    Outcome.INTERRUPTED,
    Outcome.REFUSED,
    Outcome.HOST_LACKS,
    Outcome.INFRASTRUCTURE,
    Outcome.INCONCLUSIVE,
    Outcome.NOT_MET,
    Outcome.MET,
)


def _of_error(error: BaseException) -> Outcome:
    if isinstance(error, KeyboardInterrupt):
        return Outcome.INTERRUPTED
    if isinstance(error, InconclusiveError):
        return Outcome.INCONCLUSIVE
    if isinstance(error, HarnessError):
        return {
            ExitCode.INTERRUPTED: Outcome.INTERRUPTED,
            ExitCode.USAGE: Outcome.REFUSED,
            ExitCode.HOST_LACKS: Outcome.HOST_LACKS,
        }.get(error.exit_code, Outcome.INFRASTRUCTURE)
    return Outcome.INFRASTRUCTURE
