"""The top of a report: what it came to, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from harness.check.model import Verdict
from harness.diagnose.model import HopState
from harness.engine.outcome import Outcome
from harness.report.formatting import duration
from harness.report.html.elements import Child, Markup, code, element, fold, outward_link, text
from harness.report.html.marks import outcome_css
from harness.vocabulary.words import Cause

_HEALTHY = Cause.HEALTHY.value
_SENTENCES = {
    Outcome.INCONCLUSIVE: "What the scenario expects could not be judged.",
    Outcome.INFRASTRUCTURE: "The machines or the harness failed, not what the scenario is about.",
    Outcome.HOST_LACKS: "This host lacks something; nothing was judged.",
    Outcome.REFUSED: "This provider cannot run the scenario; nothing was started.",
    Outcome.INTERRUPTED: "The run was interrupted before it was over.",
}


def header(document: Mapping[str, Any]) -> Markup:
    """Return the head of the page: what was tried, what it came to, and on what."""
    outcome = document["outcome"]
    return element(
        "header",
        element("p", document["scenario"], class_="over"),
        element("h1", document["title"]),
        element(
            "p",
            element("strong", outcome.replace("-", " "), class_=f"outcome {outcome_css(outcome)}"),
            f" {_sentence(document)} Stood there: {document['substrate']}.",
            class_="verdict",
        ),
    )


def facts(document: Mapping[str, Any], origins: str) -> Markup:
    """Return what the run is known by; `origins` says whether official builds were used."""
    lines: tuple[tuple[str, Child], ...] = (
        ("Run", f"{document['run_id']}, {_began(document)}"),
        ("Versions", ", ".join(f"{name} {value}" for name, value in document["versions"].items())),
        ("Builds", origins),
        ("See", tuple(_references(document))),
    )
    return element(
        "dl",
        (
            element("div", element("dt", name), element("dd", value))
            for name, value in lines
            if value
        ),
        class_="facts run",
    )


def main_phase(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the phase the report is about: the first with a cause, else the first diagnosed."""
    diagnosed = [phase for phase in document["phases"] if phase.get("diagnosis")]
    ill = [phase for phase in diagnosed if phase["diagnosis"]["cause"] != _HEALTHY]
    return next(iter(ill or diagnosed), None)


def cause(document: Mapping[str, Any]) -> Markup | None:
    """Return the cause with its proof and remedy, and what the other phases came to."""
    phase = main_phase(document)
    parts = [_error(document), *_left_behind(document)]
    if phase is not None:
        parts.append(_diagnosis(phase, with_name=len(document["phases"]) > 1))
        parts += [
            _short(other)
            for other in document["phases"]
            if other is not phase and other.get("diagnosis")
        ]
    found = [part for part in parts if part is not None]
    if not found:
        return None
    return element(
        "section",
        element("h2", "Cause", id="cause"),
        found,
        aria_labelledby="cause",
        class_="cause",
    )


def first_broken(diagnosis: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the first hop that is broken."""
    return next((hop for hop in diagnosis["hops"] if hop["state"] == HopState.BROKEN), None)


def _diagnosis(phase: Mapping[str, Any], *, with_name: bool) -> Markup:
    diagnosis = phase["diagnosis"]
    broken = first_broken(diagnosis)
    facts = list(diagnosis["facts"])
    if broken is not None:
        # It stands above them already.
        facts = [fact for fact in facts if fact != f"{broken['name']}: {broken['text']}"]
    return element(
        "article",
        element(
            "p",
            element("strong", diagnosis["cause"], class_="name"),
            f" {diagnosis['confidence']} confidence",
            f", in phase {phase['name']}" if with_name else None,
        ),
        _also(diagnosis),
        _broken(broken) if broken is not None else None,
        _list("Proof", facts),
        _list("Ruled out", diagnosis.get("ruled_out") or ()),
        _list("Not seen", diagnosis["not_seen"]),
        _remedy(diagnosis),
    )


def _broken(broken: Mapping[str, Any]) -> Markup:
    return element(
        "div",
        element("h3", "First broken hop"),
        element("p", element("strong", broken["name"]), ": ", broken["text"]),
        element("p", code(broken["command"])) if broken.get("command") else None,
        class_="broken",
    )


def _also(diagnosis: Mapping[str, Any]) -> Markup | None:
    also = diagnosis.get("also") or ()
    return element("p", "Also: ", ", ".join(map(str, also))) if also else None


def _remedy(diagnosis: Mapping[str, Any]) -> Markup | None:
    remedies, link = diagnosis.get("remedies"), diagnosis.get("link")
    again, later = diagnosis.get("check_again"), diagnosis.get("look_again")
    if not (remedies or again or later):
        return None
    return element(
        "div",
        element("h3", "Remedy"),
        (element("p", str(each)) for each in remedies or ()),
        element("p", f"Settling: look again {later}") if later else None,
        element("p", "Check again: ", code(str(again))) if again else None,
        element("p", outward_link(str(link))) if link else None,
        class_="remedy",
    )


def _list(heading: str, texts: Any) -> Markup | None:  # noqa: ANN401  # strings or mappings
    if not texts:
        return None
    return element(
        "div",
        element("h3", heading),
        element("ul", (element("li", _as_text(each)) for each in texts)),
    )


def _as_text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, Mapping):
        return ": ".join(str(each) for each in value.values() if each)
    return str(value)


def _short(phase: Mapping[str, Any]) -> Markup:
    diagnosis = phase["diagnosis"]
    broken = first_broken(diagnosis)
    return element(
        "p",
        f"Phase {phase['name']}: ",
        element("strong", diagnosis["cause"]),
        f", {diagnosis['confidence']} confidence",
        f", first broken hop: {broken['name']}" if broken else None,
        class_="other",
    )


def _error(document: Mapping[str, Any]) -> Markup | None:
    if not document["error"]:
        return None
    first, _, rest = str(document["error"]).partition("\n")
    return element(
        "div",
        element("h3", "What ended the run"),
        element("p", first),
        fold("All of it", element("pre", rest)) if rest.strip() else None,
        class_="broken",
    )


def _left_behind(document: Mapping[str, Any]) -> list[Markup | None]:
    return [_list("Left behind", document["leftovers"])] if document["leftovers"] else []


def _sentence(document: Mapping[str, Any]) -> str:
    outcome = document["outcome"]
    verdicts = [each["verdict"] for phase in document["phases"] for each in phase["verdicts"]]
    met = verdicts.count(Verdict.MET)
    not_entered = document.get("not_entered") or ()
    beyond = (
        f" Not entered, so nothing is said of: {', '.join(not_entered)}." if not_entered else ""
    )
    if outcome in set(_SENTENCES):
        counted = f" {met} of {len(verdicts)} expectations were met." if verdicts else ""
        return _SENTENCES[Outcome(outcome)] + counted + beyond
    return f"{met} of {len(verdicts)} expectations were met.{beyond}"


def _began(document: Mapping[str, Any]) -> str:
    try:
        began, ended = (datetime.fromisoformat(document[key]) for key in ("started", "ended"))
        took = duration((ended - began).total_seconds())
    except (TypeError, ValueError):
        return str(document["started"])
    return f"{began:%Y-%m-%d %H:%M:%S} UTC, {took}"


def _references(document: Mapping[str, Any]) -> Iterator[Markup]:
    for index, reference in enumerate(document["references"]):
        if index:
            yield text(", ")
        yield outward_link(str(reference))
