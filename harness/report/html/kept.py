"""What a run keeps and was made of: logs, files, versions, origins, settings, seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report import timings
from harness.report.formatting import duration
from harness.report.html.elements import (
    Markup,
    code,
    element,
    file_link,
    fold,
    scroller,
    table,
)
from harness.report.html.run_folder import RunFolder

_KILOBYTE = 1000
_OFFICIAL = "official"


def evidence(document: Mapping[str, Any], folder: RunFolder) -> Markup:
    """Return the end of k0sctl's log, the pieces that are not there, and every file."""
    missing = folder.missing or {}
    files = [each for each in folder.files if each[0] != "report.html"]
    return element(
        "section",
        element("h2", "Evidence", id="evidence"),
        element("p", "Folder of the run: ", code(str(document["folder"])), class_="quiet"),
        table(
            "Pieces that are not there",
            ("piece", "why"),
            (
                element("tr", element("td", code(path)), element("td", why))
                for path, why in missing.items()
            ),
            class_="pieces",
        )
        if missing
        else None,
        fold(f"k0sctl.log, its last {len(folder.log)} lines", element("pre", "\n".join(folder.log)))
        if folder.log
        else None,
        fold(
            f"{len(files)} files",
            table(
                "Files, relative to this page",
                ("file", "size"),
                (
                    element(
                        "tr",
                        element("td", file_link(path)),
                        element("td", _size(size), class_="number"),
                    )
                    for path, size in files
                ),
                class_="right",
            ),
        )
        if files
        else None,
        aria_labelledby="evidence",
    )


def made_of(document: Mapping[str, Any], folder: RunFolder, repeat: str) -> Markup:
    """Return what was run, where it came from, where the time went, and how to repeat it."""
    profile = timings.profile(document["scenario"], folder.events)
    return element(
        "section",
        element("h2", "What it was made of", id="made-of"),
        _substrate(document),
        table(
            "Files the run was made of",
            ("kind", "version", "origin", "from", "sha256"),
            (_artifact(each) for each in document["artifacts"]),
            class_="artifacts",
        )
        if document["artifacts"]
        else None,
        # A run without its timeline has the sums of its steps.
        table(
            "Where the time went",
            ("step", "seconds"),
            (_seconds(step, seconds) for step, seconds in _timings(document).items()),
            class_="right short",
        )
        if document["timings"] and not profile
        else None,
        (
            element("h3", "Where the time went"),
            scroller("Where the time went", element("pre", profile)),
        )
        if profile
        else None,
        _sums(document.get("sums") or {}),
        fold(
            "Settings",
            table(
                "Settings in force",
                ("setting", "value", "from"),
                (
                    element(
                        "tr",
                        element("td", name),
                        element("td", code(each["value"])),
                        element("td", each["origin"]),
                    )
                    for name, each in document["settings"].items()
                ),
            ),
        )
        if document["settings"]
        else None,
        element("h3", "Again"),
        element("pre", repeat),
        aria_labelledby="made-of",
    )


def _substrate(document: Mapping[str, Any]) -> Markup:
    pace = document.get("pace") or 1
    lines = [
        ("Machines", document["substrate"]),
        ("Vagrant provider", document.get("provider")),
        ("Why this provider", document.get("provider_reason")),
        ("Pace", f"{pace:g} times slower than the host, which scales bounds" if pace > 1 else ""),
        ("Made with", document.get("seed")),
        ("Machines of", document.get("shared_lab") or (document["isolation"] and "this run alone")),
        *((f"Isolation, {layer}", text) for layer, text in document["isolation"].items()),
    ]
    return element(
        "dl",
        (
            element("div", element("dt", name), element("dd", str(value)))
            for name, value in lines
            if value
        ),
        class_="facts",
    )


def _artifact(used: Mapping[str, Any]) -> Markup:
    origin = str(used["origin"])
    return element(
        "tr",
        element("td", used["kind"]),
        element("td", used["version"]),
        element("td", origin, class_=None if origin == _OFFICIAL else "notable"),
        element("td", used["source"]),
        element("td", code(used["sha256"])),
    )


def _timings(document: Mapping[str, Any]) -> dict[str, float]:
    return {str(step): float(seconds) for step, seconds in document["timings"].items()}


def _seconds(step: str, seconds: float) -> Markup:
    return element("tr", element("td", step), element("td", duration(seconds), class_="number"))


def _sums(sums: Mapping[str, Any]) -> Markup | None:
    if not any(sums.values()):
        return None
    parts = (f"{name.replace('_', ' ')} {duration(seconds)}" for name, seconds in sums.items())
    return element("p", f"Of the phases: {', '.join(parts)}.", class_="quiet")


def _size(size: int) -> str:
    return f"{size} B" if size < _KILOBYTE else f"{size / _KILOBYTE:.0f} kB"
