"""What a kind of expectation is: what it says of the cluster, and how it sees an observation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, NamedTuple

from harness.expectations.sample import Match, Sample
from harness.probe.core import Observation, Probe
from harness.vocabulary.fields import Hold, When, Within, duration_text
from harness.vocabulary.kinds import Kind
from harness.vocabulary.part import Part

# A condition comes within 35 s of its cause (30 s resync, 5 s probe); the rest is for slow pods.
WITHIN_SECONDS = 120.0
# A healthy cluster, too, says FailedDiscoveryCheck and `Metrics API not available` in its first
# minute; one resync of the aggregator (30 s), its probe's cap (6 s) and a little more tell apart.
SETTLE_SECONDS = 40.0
# A condition's message is about 200 characters and is kept of every look; the whole text is in the
# readings.
_MOST_TEXT = 1000


class Expectation(Kind, Part):
    """What a phase may demand of observations.

    `notes` say in the documentation's table what a key takes. `presumes_metrics_server` is whether
    it says something of a cluster whose metrics-server pod is Ready; `working` are the states that
    a working cluster has.
    """

    notes: ClassVar[Mapping[str, str]] = {}
    presumes_metrics_server: ClassVar[bool] = False
    working: ClassVar[Collection[str]] = ()

    when: When | None = None
    """Only for these k0s releases, as in `k0s >= 1.35.1`; conditions are joined by `and`."""

    @property
    def wants_connections(self) -> bool:
        """Whether new connections must all succeed while the state holds."""
        return False

    @property
    def wants_broken(self) -> bool:
        """Whether it wants what a healthy cluster, too, shows in its first minute."""
        return False

    @property
    def denies_backend(self) -> bool:
        """Whether it says that metrics-server is not Ready, or need not be."""
        return False

    @property
    def settle_seconds(self) -> float:
        """How long after the endpoint became ready an observation first counts."""
        return SETTLE_SECONDS if self.wants_broken else 0.0

    @property
    def times(self) -> tuple[float, float]:
        """How long there is to reach the state, and how long it must then last, in seconds."""
        return getattr(self, "within", 0.0), getattr(self, "hold", 0.0)

    def is_gone(self, state: str) -> bool:
        """Whether `state` is a working cluster's, where the expectation wants a broken one."""
        return self.wants_broken and state in self.working

    def describe_times(self) -> str:
        """Return its bound and hold, as in `within 2m, then holds 45s`."""
        within, hold = self.times
        held = f", then holds {duration_text(hold)}" if hold else ""
        return f"within {duration_text(within)}{held}"


class Watched(Expectation):
    """An expectation of a state that is waited for."""

    within: Within = WITHIN_SECONDS
    """The state must be reached in this time after the phase's preconditions hold."""


class Held(Watched):
    """An expectation of a state that may have to last."""

    hold: Hold = 0.0
    """How long the state must then last; 0s means once is enough. May be longer than `within`."""


class Seen(NamedTuple):
    """What a value is to an expectation; see `Sample`."""

    matches: bool
    text: str
    state: str
    since: str = ""


class Streamed(Held):
    """An expectation that is judged by a stream of readings of one probe."""

    @abstractmethod
    def probe(self) -> Probe[Any]:
        """Return the probe whose readings it is judged by."""

    def until_told(self) -> Probe[None] | None:
        """Return what ends once the API tells that it may be met; None where it does not tell."""
        return None

    @abstractmethod
    def judge(self, value: Any, nodes: tuple[str, ...]) -> Seen:  # noqa: ANN401  # the probe's
        """Return what a value of the probe is to it; `nodes` are the cluster's, by name."""

    def sample(self, seen: Observation[Any], nodes: tuple[str, ...]) -> Sample:
        """Return what was seen of its probe, as it sees it."""
        at = seen.reading.elapsed + seen.reading.duration
        if seen.problem is not None:
            return Sample(at, Match.GAP, seen.problem[:_MOST_TEXT], state="not read")
        found = self.judge(seen.value, nodes)
        match = Match.MATCH if found.matches else Match.MISMATCH
        text, state, since = (each[:_MOST_TEXT] for each in found[1:])
        return Sample(at, match, text, state, since)
