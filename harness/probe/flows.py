"""The matrix of flows: what came of every kind of connection that a cluster lives on.

A flow works when the connection opens, TLS is agreed on and a request larger than any packet is
answered: a hole for large packets lets the first of these through. Whatever a server answers
proves the flow, `401 Unauthorized` as well. What nothing in the cluster can try is not measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.base.places import with_port
from harness.evidence.reading import Reading
from harness.probe import apiservice
from harness.probe.core import API, ReadingSource, observe
from harness.probe.flow_cells import FlowCell, Payload
from harness.probe.flow_facts import facts_from, first_probes
from harness.probe.flow_look import AT_ONCE, PROBE, parse_lines, parse_request, probes
from harness.probe.flow_plan import plan
from harness.vocabulary.words import Flow, FlowOutcome, Role

# curl's exit statuses (man curl, EXIT CODES).
_DONE = 0
_UNSUPPORTED = 1
_CANNOT_CONNECT = 7
_TIMED_OUT = 28
# The other side ended the connection: an empty reply, a failure to send or receive, HTTP/2's own.
_HUNG_UP = {16, 52, 55, 56, 92}
# The program's word for TLS that has begun.
_OFFERED = "offered"
# The words of errno (C locale), of Go's net package and of the API server, in small letters. Routes
# of the kinds prohibit and blackhole answer with EACCES and EINVAL on the machine itself.
_WORDS = (
    ("connection refused", FlowOutcome.REFUSED),
    ("no route to host", FlowOutcome.UNREACHABLE),
    ("network is unreachable", FlowOutcome.UNREACHABLE),
    ("permission denied", FlowOutcome.UNREACHABLE),
    ("invalid argument", FlowOutcome.UNREACHABLE),
    ("timed out", FlowOutcome.TIMED_OUT),
    ("timeout", FlowOutcome.TIMED_OUT),
    ("deadline exceeded", FlowOutcome.TIMED_OUT),
    ("while awaiting headers", FlowOutcome.TIMED_OUT),
    ("while waiting for connection", FlowOutcome.TIMED_OUT),
)
# What kubectl says where it did not get as far as the API server.
_NO_API = ("The connection to the server ", "Unable to connect to the server: dial ")


@dataclass(frozen=True)
class FlowResult:
    """What came of one way: `stage` is how far it got, `seconds` how long the try took.

    `stage` is `connect`, `tls` or `payload`, empty where there are no stages to see. `words` are
    those of the tool for a failure, or why the way was not measured. `unneeded` says why the
    cluster does not live on it; then it does not count how it ended.
    """

    flow: Flow
    source: str
    target: str
    address: str
    outcome: FlowOutcome
    stage: str = ""
    seconds: float = 0.0
    words: str = ""
    unneeded: str = ""

    @property
    def fine(self) -> bool:
        """Whether it works, or was not measured."""
        return self.outcome in (FlowOutcome.WORKS, FlowOutcome.NOT_MEASURED)


@dataclass(frozen=True)
class FlowMatrix:
    """The results in the order of `Flow`; `unread` says what could not be looked at or from."""

    cells: tuple[FlowResult, ...]
    unread: tuple[str, ...] = ()

    def of(self, flow: Flow) -> tuple[FlowResult, ...]:
        """Return the results of one flow."""
        return tuple(cell for cell in self.cells if cell.flow is flow)

    def outcome(self, flow: Flow) -> FlowOutcome:
        """Return what the flow comes to over all its ways that were measured.

        Where none works, and they ended in different ways, it is `failed`.
        """
        seen = {cell.outcome for cell in self.of(flow)} - {FlowOutcome.NOT_MEASURED}
        if not seen:
            return FlowOutcome.NOT_MEASURED
        if len(seen) == 1:
            return seen.pop()
        return FlowOutcome.PARTIAL if FlowOutcome.WORKS in seen else FlowOutcome.FAILED

    @property
    def outcomes(self) -> Mapping[Flow, FlowOutcome]:
        """What each flow comes to."""
        return {flow: self.outcome(flow) for flow in Flow}

    @property
    def broken(self) -> tuple[FlowResult, ...]:
        """The ways that the cluster lives on, were measured and do not work."""
        return tuple(cell for cell in self.cells if not cell.fine and not cell.unneeded)

    def unneeded(self, flow: Flow) -> str:
        """Return why none of a flow's ways that do not work has to; empty where one has to."""
        lost = [cell.unneeded for cell in self.of(flow) if not cell.fine]
        return lost[0] if lost and all(lost) else ""


def measure(
    source: ReadingSource, machines: Mapping[str, Role], *, pace: float = 1.0
) -> tuple[Reading, ...]:
    """Take every reading of the matrix, from `machines` and from the API server.

    It takes two rounds: the ends, then all ways at once; `pace` is how many times slower than this
    host the machines are. Nothing is raised for what cannot be read.
    """
    first = source.take((*first_probes(machines), apiservice.PROBE.look()))
    looks = probes(plan(facts_from(first)), pace=pace)
    readings = list(first)
    ours = [look for look in looks if look.where != API]
    asked = [look for look in looks if look.where == API]
    readings += source.take((*ours, *asked[:AT_ONCE]))
    for start in range(AT_ONCE, len(asked), AT_ONCE):
        readings += source.take(asked[start : start + AT_ONCE])
    return tuple(readings)


def parse(readings: Iterable[Reading]) -> FlowMatrix:
    """Return the matrix; readings of other probes are passed over."""
    taken = tuple(readings)
    facts = facts_from(taken)
    said: dict[str, tuple[str, ...]] = {}
    machines: dict[str, str] = {}
    requests: dict[str, Reading] = {}
    condition = ""
    for reading in taken:
        family, _, label = reading.probe.partition(":")
        if family == "flow":
            requests[label] = reading
        elif family == PROBE:
            found = observe(parse_lines, reading)
            if found.value is not None:
                said |= found.value
            else:
                machines[reading.where] = found.problem or ""
        elif family == "apiservice":
            state = observe(apiservice.parse, reading).value
            condition = state.message if state is not None else ""
    results = []
    for cell in plan(facts):
        if cell.missing:
            results.append(_result(cell, FlowOutcome.NOT_MEASURED, words=cell.missing))
        elif cell.source == API:
            results.append(of_request(cell, requests.get(cell.label), condition))
        else:
            why = machines.get(cell.source, "it was not tried")
            results.append(of_try(cell, said.get(cell.label, (why,))))
    return FlowMatrix(tuple(results), (*facts.unread, *machines.values()))


def of_try(cell: FlowCell, words: Sequence[str]) -> FlowResult:
    """Return what the program's words for one cell come to; without figures nothing was tried."""
    figures = next((each.split()[1:] for each in words if each.startswith("figures ")), None)
    status = next((each.removeprefix("exit ") for each in words if each.startswith("exit ")), None)
    said = [each for each in words if not each.startswith(("figures ", "exit "))]
    if figures is None or status is None:
        return _result(cell, FlowOutcome.NOT_MEASURED, words=" ".join(said) or "curl said nothing")
    try:
        return _measured(cell, figures, int(status), said)
    except (IndexError, ValueError):
        return _result(cell, FlowOutcome.NOT_MEASURED, words="curl's figures are none")


def _measured(
    cell: FlowCell, figures: Sequence[str], status: int, said: Sequence[str]
) -> FlowResult:
    """Return what curl's figures come to; raises `IndexError` or `ValueError` for none."""
    connected, agreed, total = (float(each) for each in figures[:3])
    if not math.isfinite(connected + agreed + total):
        raise ValueError("no seconds")
    answered = figures[3] != "000" or figures[4] != "0"
    if status == _CANNOT_CONNECT or (connected == 0 and _OFFERED not in said):
        stage = "connect"
    else:
        stage = "tls" if cell.tls and agreed == 0 else "payload"
    said = [each for each in said if each != _OFFERED]
    outcome = _outcome(cell, status, stage, " ".join(said), answered=answered)
    worked = outcome is FlowOutcome.WORKS
    return _result(cell, outcome, stage, total, "" if worked else _one_line(said[:1]))


def _outcome(cell: FlowCell, status: int, stage: str, said: str, *, answered: bool) -> FlowOutcome:
    if stage == "payload":
        if answered or status == _DONE:
            return FlowOutcome.WORKS
        if cell.payload is Payload.DNS and status == _UNSUPPORTED and "HTTP/0.9" in said:
            return FlowOutcome.WORKS
        if cell.payload is Payload.GRPC and status in _HUNG_UP:
            return FlowOutcome.WORKS
    if status == _TIMED_OUT:
        return FlowOutcome.TIMED_OUT
    if status == _CANNOT_CONNECT:
        return _of_words(said)
    return FlowOutcome.FAILED


def of_request(cell: FlowCell, reading: Reading | None, condition: str) -> FlowResult:
    """Return what the API server came to; `condition` is the APIService's own message."""
    if reading is None:
        return _result(cell, FlowOutcome.NOT_MEASURED, words="it was not tried")
    found = observe(parse_request, reading)
    if found.value is None:
        return _result(cell, FlowOutcome.NOT_MEASURED, words=found.problem or "")
    status, words = found.value
    if status == 0:
        return _result(cell, FlowOutcome.WORKS, seconds=reading.duration)
    if words.startswith(_NO_API):
        return _result(cell, FlowOutcome.NOT_MEASURED, words=words)
    if "(ServiceUnavailable)" in words and "/apis/" in " ".join(cell.request):
        # The aggregator does not dial for a service that is unavailable; its last try says why.
        words = f"{words}; the APIService: {condition}" if condition else words
    return _result(cell, _of_words(words), seconds=reading.duration, words=_one_line([words]))


def _of_words(words: str) -> FlowOutcome:
    return next((outcome for text, outcome in _WORDS if text in words.lower()), FlowOutcome.FAILED)


def _result(
    cell: FlowCell, outcome: FlowOutcome, stage: str = "", seconds: float = 0.0, words: str = ""
) -> FlowResult:
    address = with_port(cell.address, cell.port) if cell.address else ""
    return FlowResult(
        *(cell.flow, cell.origin, cell.target, address, outcome, stage, round(seconds, 3), words),
        unneeded=cell.unneeded,
    )


def _one_line(words: Sequence[str]) -> str:
    return " ".join("; ".join(words).split())
