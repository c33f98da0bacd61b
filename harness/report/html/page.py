"""The whole page: one file that loads nothing, runs nothing, and says where the run went wrong."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.engine.results import ScenarioResult
from harness.evidence.redaction import redact
from harness.report import json_report
from harness.report.formatting import origin_line
from harness.report.html import compare, drawing, kept, phases, timeline, top
from harness.report.html.elements import Markup, element, fold, join
from harness.report.html.run_folder import RunFolder, read
from harness.report.html.way import Way, way_of
from harness.report.summary import repeat_command

_LEGEND = (
    "Green holds, the red line ends at the first broken hop, dotted was not reached or not seen. "
    "A Service is no program: kube-proxy on each machine with a kubelet stands for it."
)
_ANY_AGENT = " Any agent may carry a request; drawn is the one beside the pod."
_STYLE = Path(__file__).with_name("report.css")


def render(result: ScenarioResult) -> str:
    """Return `report.html` of a run, with what its folder has by now."""
    return page(
        json_report.document(result),
        read(result.folder),
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
    body = element(
        "body",
        element("a", "To the cause", href="#main", class_="skip"),
        top.header(document),
        element(
            "main",
            top.cause(document),
            top.facts(document, origins),
            _way(document, folder, ways),
            timeline.section(document),
            (phases.section(phase, index) for index, phase in enumerate(document["phases"])),
            compare.section(document, readings),
            kept.evidence(document, folder),
            kept.made_of(document, repeat),
            id="main",
        ),
        element(
            "footer",
            element("p", f"k0s-harness, {document.get('format', '')}, run {document['run_id']}"),
        ),
    )
    title = f"{document['scenario']}: {document['outcome']}"
    return f"<!doctype html>\n{element('html', _head(title), body, lang='en')}\n"


def _head(title: str) -> Markup:
    style = _STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # Nothing may be loaded, run, sent or framed; the one style is known by its hash.
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        # The stylesheet is the harness's own; escaped, it would be none.
        element("style", Markup(style)),
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
