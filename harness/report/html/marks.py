"""Verdicts, states and outcomes as a word in a colour, which never tells anything alone."""

from __future__ import annotations

from harness.check.model import Verdict
from harness.diagnose.model import HopState
from harness.engine.outcome import Outcome
from harness.report.html.elements import Markup, element
from harness.vocabulary.words import FlowOutcome

_VERDICTS = {Verdict.MET: "good", Verdict.NOT_MET: "bad", Verdict.INCONCLUSIVE: "unsure"}
_HOPS = {HopState.HOLDS: "good", HopState.BROKEN: "bad", HopState.NOT_SEEN: "unsure"}
_OUTCOMES = {Outcome.MET: "good", Outcome.NOT_MET: "bad"}
_SHAPES = {
    "good": "m-4 0l3 3.5l5.5 -7",
    "bad": "m-3.5 -3.5l7 7m0 -7l-7 7",
    "unsure": "m-4 0h8",
}


def verdict_css(verdict: str) -> str:
    """Return the class of a verdict's colour; a word that is none is not sure."""
    return _VERDICTS.get(Verdict(verdict), "unsure") if verdict in set(Verdict) else "unsure"


def outcome_css(outcome: str) -> str:
    """Return the class of an outcome's colour."""
    return _OUTCOMES.get(Outcome(outcome), "unsure") if outcome in set(Outcome) else "unsure"


def verdict_word(verdict: str) -> Markup:
    """Return a verdict as a coloured word."""
    return _word(verdict.replace("-", " "), verdict_css(verdict))


def hop_word(state: str) -> Markup:
    """Return a hop's state as a coloured word."""
    css = _HOPS.get(HopState(state), "unsure") if state in set(HopState) else "unsure"
    return _word(state.replace("-", " "), css)


def holds_word(holds: bool | None) -> Markup:
    """Return whether a precondition holds as a coloured word; None is not seen."""
    if holds is None:
        return _word("not seen", "unsure")
    return _word("holds", "good") if holds else _word("does not hold", "bad")


def flow_word(outcome: str, *, counts: bool = True) -> Markup:
    """Return a flow's outcome as a coloured word; one that does not count is never bad."""
    css = {FlowOutcome.WORKS.value: "good", FlowOutcome.NOT_MEASURED.value: "unsure"}
    return _word(outcome.replace("-", " "), css.get(outcome, "bad" if counts else "unsure"))


def outcome_word(outcome: str) -> Markup:
    """Return an outcome as a coloured word."""
    return _word(outcome.replace("-", " "), outcome_css(outcome))


def verdict_mark(x: float, y: float, verdict: str) -> Markup:
    """Return a verdict as a mark in a drawing: a tick, a cross or a bar in a circle."""
    css = verdict_css(verdict)
    return element(
        "g",
        element("title", verdict),
        element("circle", class_=f"verdict {css}", cx=x, cy=y, r=9),
        element("path", class_=f"verdict {css}", d=f"M{x:.1f} {y:.1f}{_SHAPES[css]}"),
    )


def _word(text: str, css: str) -> Markup:
    return element("span", text, class_=f"word {css}")
