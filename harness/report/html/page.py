"""The page of a run, which says where it went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.engine.results import ScenarioResult
from harness.evidence.redaction import redact
from harness.report import json_report
from harness.report.formatting import origin_line
from harness.report.html import compare, drawing, kept, phases, timeline, top
from harness.report.html.elements import Markup, element, fold, join
from harness.report.html.run_folder import RunFolder, read
from harness.report.html.shell import whole
from harness.report.html.way import Way, way_of
from harness.report.summary import repeat_command

_LEGEND = (
    "Green holds, the red line ends at the first broken hop, dotted was not reached or not seen. "
    "A Service is no program: kube-proxy on each machine with a kubelet stands for it."
)
_ANY_AGENT = " Any agent may carry a request; drawn is the one beside the pod."


def render(result: ScenarioResult, kept_evidence: RunFolder | None = None) -> str:
    """Return `report.html` of a run, with what its folder has by now unless evidence is given."""
    return page(
        json_report.document(result),
        read(result.folder) if kept_evidence is None else kept_evidence,
        origins=redact(origin_line(result)),
        repeat=redact(repeat_command(result)),
    )


def page(
    document: Mapping[str, Any], folder: RunFolder, *, origins: str = "", repeat: str = ""
) -> str:
    """Return the page of a report's JSON form, in which secrets are redacted already.

    `origins` says whether official builds were used, `repeat` is the command that runs it again.
    """
    readings = compare.last_readings(document, folder)
    ways = [
        way_of(phase, last.values())
        for phase, last in zip(document["phases"], readings, strict=True)
    ]
    return whole(
        f"{document['scenario']}: {document['outcome']}",
        top.header(document),
        top.cause(document),
        top.facts(document, origins),
        _way(document, folder, ways),
        timeline.section(document),
        (phases.section(phase, index) for index, phase in enumerate(document["phases"])),
        compare.section(document, readings),
        kept.evidence(document, folder),
        kept.made_of(document, folder, repeat),
        skip="To the cause",
        foot=f"{document.get('format', '')}, run {document['run_id']}",
    )


def _way(document: Mapping[str, Any], folder: RunFolder, ways: list[Way]) -> Markup | None:
    """Return the lab with the way in the phase the report is about, the others folded."""
    main = top.main_phase(document)
    figures: list[Markup] = []
    for index, (phase, way) in enumerate(zip(document["phases"], ways, strict=True)):
        figure = _figure(folder, way, f"lab-{index}", phase["name"])
        if figure is None:
            continue
        if phase is main or main is None:
            figures.insert(0, figure)
        elif way.states:
            figures.append(fold(f"The way in phase {phase['name']}", figure))
    if not figures:
        alone = _figure(folder, Way({}), "lab", None)
        figures = [alone] if alone is not None else []
    if not figures:
        return None
    heading = "The way of the request" if any(way.states for way in ways) else "The lab"
    return element("section", element("h2", heading, id="way"), figures, aria_labelledby="way")


def _figure(folder: RunFolder, way: Way, name: str, phase: str | None) -> Markup | None:
    drawn = drawing.draw(folder.machines, way, name=name)
    if drawn is None:
        return None
    words = join(_caption(way, phase))
    return element("figure", drawn, element("figcaption", words) if words else None)


def _caption(way: Way, phase: str | None) -> list[str | Markup]:
    where = f"Phase {phase}. " if phase else ""
    if not way.states:
        return []
    legend = _LEGEND + (_ANY_AGENT if way.tunnel else "")
    if way.broken is None:
        return [where, "No hop is broken.", element("br"), legend]
    return [
        where,
        "First broken hop: ",
        element("strong", way.broken["name"]),
        f": {way.broken['text']}",
        element("br"),
        legend,
    ]
