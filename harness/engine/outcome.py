"""What a whole run came to, and the exit code that goes with it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from harness.base.errors import ExitCode, HarnessError, InconclusiveError
from harness.check.model import Verdict


class Outcome(StrEnum):
    """What a whole run came to; each outcome has one exit code."""

    MET = "met"
    NOT_MET = "not-met"
    INCONCLUSIVE = "inconclusive"
    INFRASTRUCTURE = "infrastructure"
    HOST_LACKS = "host-lacks"
    REFUSED = "refused"
    """Wrong usage, or a scenario this provider cannot run: nothing was started."""
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that the reference promises for this outcome."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Outcome.MET: ExitCode.OK,
    Outcome.NOT_MET: ExitCode.NOT_MET,
    Outcome.INCONCLUSIVE: ExitCode.INFRASTRUCTURE,
    Outcome.INFRASTRUCTURE: ExitCode.INFRASTRUCTURE,
    Outcome.HOST_LACKS: ExitCode.HOST_LACKS,
    Outcome.REFUSED: ExitCode.USAGE,
    Outcome.INTERRUPTED: ExitCode.INTERRUPTED,
}


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
