"""What metrics-server's pod said last, in its own log."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.diagnose import findings
from harness.diagnose.facts import Facts
from harness.probe import https, nodelogs
from harness.probe.https import Health
from harness.probe.nodelogs import Line
from harness.probe.workloads import Pod

# A container that crashes is started again after 5 minutes at the latest, and says the same.
_LATELY_SECONDS = 400.0
# The pod's creation is of the API server's clock, a line of its machine's.
_CLOCKS_SECONDS = 5.0
_MOST_SAID = 1000
# Go's panic, klog's fatal lines, and what cobra prints of an error.
_END = re.compile(r"^(?:panic: |F\d{4} |Error: |error: |fatal error: )")
_FORBIDDEN = re.compile(
    r'\b[a-z.]{1,253}(?: "[^"\s]{1,253}")? is forbidden: User "[^"]{1,253}" '
    r'cannot [a-z]{1,50} resource "(?P<resource>[^"]{1,253})"'
)
# A request of the API server's own paths that did not get there.
_UNREACHED = re.compile(
    r'Get "https://(?P<place>[^/"\s]{1,255})/apis?/[^"]{0,500}": '
    r"(?P<why>dial tcp [^\"]{1,200}|net/http: TLS handshake timeout|context deadline exceeded"
    r"|EOF|read tcp [^\"]{1,200})"
)


@dataclass(frozen=True)
class Forbidden:
    """What the API server does not let metrics-server's account do, in its own words."""

    resource: str
    text: str


def unread(facts: Facts) -> bool:
    """Whether the pod's program has ended, and its log was not seen, or whether the next serves."""
    pod = findings.metrics_pod(facts)
    if pod is None or not (pod.restarts or pod.ended):
        return False
    if not pod.waiting and not health(facts, pod):
        return True
    logged = (facts.machine_of(pod.node) or "") in facts.on(nodelogs.METRICS_SERVER)
    return not logged and not answers(facts, pod)


def crash(facts: Facts) -> str | None:
    """Return the line with which the pod's program ended last, None where none was seen.

    None as well where the program that runs now answers: it got past what ended the one before.
    """
    pod = findings.metrics_pod(facts)
    if pod is None or answers(facts, pod):
        return None
    return _last_end(facts, pod)


def answers(facts: Facts, pod: Pod) -> bool:
    """Whether the pod's program runs and serves, which it does once the API server told it how."""
    return not pod.waiting and any(each.serves for each in health(facts, pod))


def overcome(facts: Facts, pod: Pod) -> bool:
    """Whether the program ended of what the API server did, or did not answer, and now serves."""
    end = _last_end(facts, pod)
    if end is None or not answers(facts, pod):
        return False
    return _UNREACHED.search(end) is not None or _FORBIDDEN.search(end) is not None


def health(facts: Facts, pod: Pod) -> list[Health]:
    """Return what the pod answered of its health on its own node."""
    return [each for (_, place), each in facts.to(https.HEALTH).items() if place == pod.address]


def _last_end(facts: Facts, pod: Pod) -> str | None:
    if not (pod.restarts or pod.ended):
        return None
    ends = [line for line in _lines(facts, pod) if _END.search(line.text)]
    return ends[-1].text[:_MOST_SAID] if ends else None


def forbidden(facts: Facts) -> Forbidden | None:
    """Return what metrics-server may not do of the API server and said so last."""
    for text in reversed(_said(facts)):
        found = _FORBIDDEN.search(text)
        if found is not None:
            return Forbidden(found["resource"], found.group())
    return None


def unreached(facts: Facts) -> tuple[str, str] | None:
    """Return where metrics-server did not reach the API server, and why, by what it said last."""
    for text in reversed(_said(facts)):
        found = _UNREACHED.search(text)
        if found is not None:
            return found["place"], found["why"]
    return None


def _said(facts: Facts) -> list[str]:
    """Return the line the program ended with, or else what it said in the last minute."""
    ended = crash(facts)
    if ended is not None:
        return [ended]
    pod = findings.metrics_pod(facts)
    if pod is None:
        return []
    said = [line.text for line in _lines(facts, pod, findings.RECENT_SECONDS)]
    # Of the program that runs now, not of one before it.
    begins = max((n for n, text in enumerate(said, 1) if _END.search(text)), default=0)
    return [text[:_MOST_SAID].replace('\\"', '"') for text in said[begins:]]


def _lines(facts: Facts, pod: Pod, within: float = _LATELY_SECONDS) -> list[Line]:
    machine = facts.machine_of(pod.node) or ""
    log = facts.on(nodelogs.METRICS_SERVER).get(machine)
    if log is None:
        return []
    since = findings.read_at(facts, nodelogs.METRICS_SERVER.name, machine) - within
    since = max(since, pod.created - _CLOCKS_SECONDS)
    return [line for line in log.lines if line.at > since]
