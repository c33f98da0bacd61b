"""A phase in which the request does not come through beside one in which it does.

Only what differs stands here: what is the same in both cannot be what makes the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.engine.timeline import end_of, segments_of
from harness.evidence.reading import Reading
from harness.report.formatting import one_line
from harness.report.html.elements import Markup, element, table
from harness.report.html.run_folder import RunFolder
from harness.report.html.top import first_broken
from harness.report.run_comparison import ABSENT

# `ss -Hltn` says state, two queues, then the address.
_ADDRESS_COLUMN = 3


def last_readings(
    document: Mapping[str, Any], folder: RunFolder
) -> list[dict[tuple[str, str], Reading]]:
    """Return for each phase the last reading of every probe since its changes were made.

    Nothing for a phase of which the run's timeline says nothing.
    """
    segments = segments_of(folder.events)
    found: list[dict[tuple[str, str], Reading]] = []
    for phase in document["phases"]:
        segment = segments.get(phase["name"])
        if segment is None:
            found.append({})
        else:
            end = end_of(segment, segments.values())
            found.append(folder.last(segment.observed_from, end))
    return found


def section(
    document: Mapping[str, Any], readings: Sequence[Mapping[tuple[str, str], Reading]]
) -> Markup | None:
    """Return the differences of the last bad phase and the next good one, None without both."""
    pair = _pair(document["phases"])
    if pair is None:
        return None
    bad, good = (document["phases"][index] for index in pair)
    good_is_later = pair[1] > pair[0]
    rows = [
        *_changes(good if good_is_later else bad, good_is_later),
        *_hops(bad, good),
        *_observed(bad, good),
        *_named(bad, good, "preconditions", "precondition", lambda each: one_line(each["text"])),
        *_read(*(readings[index] for index in pair)),
    ]
    if not rows:
        return None
    return element(
        "section",
        element("h2", f"Phase {bad['name']} against phase {good['name']}", id="differences"),
        side_by_side("Only what differs is shown", (bad["name"], good["name"]), rows),
        aria_labelledby="differences",
    )


def side_by_side(
    caption: str, names: tuple[str, str], rows: Iterable[tuple[str, str | None, str | None]]
) -> Markup:
    """Return a table of two sides, `names`: each row has what it is of and what either says."""
    return table(
        caption,
        ("what", *names),
        (
            element(
                "tr",
                element("th", what, scope="row"),
                (element("td", side or ABSENT) for side in sides),
            )
            for what, *sides in rows
        ),
        class_="compare",
    )


def _pair(phases: Sequence[Mapping[str, Any]]) -> tuple[int, int] | None:
    """Return the places of a bad phase and of the good one nearest to it, later ones first."""
    judged = [
        (index, first_broken(phase["diagnosis"]) is None)
        for index, phase in enumerate(phases)
        if phase.get("diagnosis") and phase["diagnosis"]["hops"]
    ]
    bad = [index for index, whole in judged if not whole]
    good = [index for index, whole in judged if whole]
    pairs = [(left, right) for left in bad for right in good]
    return min(pairs, key=lambda each: (abs(each[0] - each[1]), each[1] < each[0]), default=None)


def _changes(later: Mapping[str, Any], later_is_good: bool) -> Iterator[tuple[str, str, str]]:
    for change in later["changes"]:
        text = str(change["text"])
        yield ("change", "", text) if later_is_good else ("change", text, "")


def _hops(bad: Mapping[str, Any], good: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    def said(phase: Mapping[str, Any]) -> dict[str, str]:
        return {
            hop["name"]: f"{hop['state'].replace('-', ' ')}: {one_line(hop['text'])}"
            for hop in phase["diagnosis"]["hops"]
        }

    yield from (_differing("", said(bad), said(good)))


def _observed(bad: Mapping[str, Any], good: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    def said(phase: Mapping[str, Any]) -> dict[str, str]:
        return {
            each["id"]: one_line(each["observed_text"])
            for each in phase["verdicts"]
            if each["kind"] != "diagnosis"
        }

    left, right = said(bad), said(good)
    # What only one of them expects says nothing about the other.
    both = left.keys() & right.keys()
    yield from _differing(
        "observed: ",
        {key: value for key, value in left.items() if key in both},
        {key: value for key, value in right.items() if key in both},
    )


def _named(
    bad: Mapping[str, Any],
    good: Mapping[str, Any],
    key: str,
    word: str,
    said: Callable[[Mapping[str, Any]], str],
) -> Iterator[tuple[str, str, str]]:
    left = {each["name"]: said(each) for each in bad[key]}
    right = {each["name"]: said(each) for each in good[key]}
    yield from _differing(f"{word}: ", left, right)


def _read(
    bad: Mapping[tuple[str, str], Reading], good: Mapping[tuple[str, str], Reading]
) -> Iterator[tuple[str, str, str]]:
    """Yield what the same command on the same machine said in one phase only."""
    for key in bad:
        if key not in good or key[1] not in _PIECES:
            continue
        what, pieces = _PIECES[key[1]]
        left, right = (dict.fromkeys(pieces(each[key].stdout)) for each in (bad, good))
        only_left = [piece for piece in left if piece not in right]
        only_right = [piece for piece in right if piece not in left]
        if only_left or only_right:
            yield f"{what} of {key[0]}", "\n".join(only_left), "\n".join(only_right)


def _flags(stdout: str) -> Iterable[str]:
    return [word for word in stdout.split() if word.startswith("--")]


def _listening(stdout: str) -> Iterable[str]:
    rows = (line.split() for line in stdout.splitlines())
    return [row[_ADDRESS_COLUMN] for row in rows if len(row) > _ADDRESS_COLUMN]


_PIECES: Mapping[str, tuple[str, Callable[[str], Iterable[str]]]] = {
    "apiserver_flags": ("API server flags", _flags),
    "listening": ("listening sockets", _listening),
}


def _differing(
    prefix: str, left: Mapping[str, str], right: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys([*left, *right]):
        pair = left.get(name, ""), right.get(name, "")
        if pair[0] != pair[1]:
            yield (f"{prefix}{name}", *pair)
