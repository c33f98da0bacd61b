"""The way of a request from the API server to the metrics, and where on it each hop lies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from harness.diagnose.model import HopState
from harness.evidence.reading import Reading
from harness.scenario.words import TopOutcome
from harness.untrusted import RefusedError
from harness.untrusted import plain_json


class Place(StrEnum):
    """A station or a stretch of the way."""

    MACHINES = "machines"
    API_SERVER = "API server"
    WAY_OUT = "way out of the controller"
    ARRIVAL = "arrival at the Service"
    SERVICE = "Service"
    POD = "pod"
    KUBELETS = "kubelets"
    CONDITION = "APIService"
    """What the API server says of it all: the end of the story, and no part of the way."""


# The way itself, as it is walked.
WAY = (
    Place.API_SERVER,
    Place.WAY_OUT,
    Place.ARRIVAL,
    Place.SERVICE,
    Place.POD,
    Place.KUBELETS,
)
# A hop says in its name where it lies. The first word that fits decides, so the order matters:
# "the controller's route to the dialled address" is about the route.
_WORDS = (
    (Place.WAY_OUT, "konnectivity|tunnel|agent|route"),
    (Place.CONDITION, "apiservice|condition"),
    (Place.API_SERVER, "way out|egress|flags|right cluster|api server"),
    (Place.ARRIVAL, "connection|dial|packet"),
    (Place.SERVICE, "service|endpoint"),
    (Place.KUBELETS, "kubelet|scrape|the metrics$"),
    (Place.POD, "metrics-server|backend|pod|image"),
    (Place.MACHINES, "node|clock|network|address|machine"),
)
_PATTERNS = tuple((place, re.compile(words, re.IGNORECASE)) for place, words in _WORDS)
_DEVICE = re.compile(r"\bdev ([\w.-]+)")
_GATEWAY = re.compile(r"\bvia ([0-9.]+)")


@dataclass(frozen=True)
class Way:
    """The way in one phase.

    `tunnel` is whether it goes through konnectivity, None where that was not seen. `states` has
    the worst state of the hops of each place, `broken` the first broken hop (its JSON form) and
    `broken_at` its place. Without a tunnel the request leaves by `device`, towards `gateway`.
    `cluster_ip` and `endpoint` are `address:port`, `node` is where the pod runs.
    `condition` is what the APIService says.
    """

    states: Mapping[Place, HopState]
    tunnel: bool | None = None
    broken: Mapping[str, Any] | None = None
    broken_at: Place | None = None
    device: str | None = None
    gateway: str | None = None
    cluster_ip: str | None = None
    endpoint: str | None = None
    node: str | None = None
    condition: str | None = None

    def walked(self, place: Place) -> HopState:
        """Return how the way fares at `place`: nothing holds that was neither seen nor implied.

        Beyond the first broken hop nothing was reached. What comes before it was passed, and an
        APIService that is available says that the request comes through as far as the pod.
        """
        if self.broken_at in WAY:
            distance = WAY.index(place) - WAY.index(self.broken_at)
            if distance >= 0:
                return HopState.NOT_SEEN if distance else HopState.BROKEN
            return self.states.get(place, HopState.HOLDS)
        if self.broken is not None and self.broken_at is not Place.CONDITION:
            return HopState.NOT_SEEN
        through = self.states.get(Place.CONDITION, HopState.NOT_SEEN)
        implied = HopState.HOLDS if through is HopState.HOLDS else HopState.NOT_SEEN
        return self.states.get(place, HopState.NOT_SEEN if place is Place.KUBELETS else implied)


def place_of(name: str) -> Place | None:
    """Return where the hop called `name` lies, None where its name does not say."""
    return next((place for place, pattern in _PATTERNS if pattern.search(name)), None)


def way_of(phase: Mapping[str, Any], readings: Iterable[Reading]) -> Way:
    """Return the way in a phase (its JSON form), addresses from its last `readings`."""
    hops = (phase.get("diagnosis") or {}).get("hops") or ()
    raw = {reading.probe: reading for reading in readings}
    broken = next((hop for hop in hops if hop["state"] == HopState.BROKEN), None)
    route = next((hop["text"] for hop in hops if "route" in hop["name"]), "")
    service = _object(raw.get("service"))
    slices = _items(raw.get("endpoints"))
    address, port, node = next(_endpoints(slices), (None, None, None))
    pod = next(iter(_items(raw.get("pods"))), None)
    cluster_ip = _get(service, "spec", "clusterIP")
    return Way(
        states=_scraped(phase, hops) | _states(hops),
        tunnel=_has_tunnel(phase, raw.get("apiserver_flags")),
        broken=broken,
        broken_at=place_of(broken["name"]) if broken else None,
        device=_first(_DEVICE, route),
        gateway=_first(_GATEWAY, route),
        cluster_ip=_joined(cluster_ip, _get(service, "spec", "ports", 0, "port")),
        endpoint=_joined(address, port),
        node=node or _text(_get(pod, "spec", "nodeName")),
        condition=next(
            (hop["text"] for hop in hops if place_of(hop["name"]) is Place.CONDITION), None
        ),
    )


def _states(hops: Sequence[Mapping[str, Any]]) -> dict[Place, HopState]:
    worst = (HopState.HOLDS, HopState.NOT_SEEN, HopState.BROKEN)
    found: dict[Place, HopState] = {}
    for hop in hops:
        place, state = place_of(hop["name"]), HopState(hop["state"])
        if place is not None:
            found[place] = max(found.get(place, HopState.HOLDS), state, key=worst.index)
    return found


def _scraped(phase: Mapping[str, Any], hops: Sequence[object]) -> dict[Place, HopState]:
    """Rows of all nodes say that the kubelets were reached, also where no hop asks for it."""
    rows = [each["observed_text"] for each in phase["verdicts"] if each["kind"] == "top_nodes"]
    complete = any(text.startswith(TopOutcome.COMPLETE.value) for text in rows)
    return {Place.KUBELETS: HopState.HOLDS} if hops and complete else {}


def _has_tunnel(phase: Mapping[str, Any], flags: Reading | None) -> bool | None:
    """What the running API server was started with, else what the phase presumed and found."""
    if flags is not None and flags.stdout:
        return "--egress-selector-config-file" in flags.stdout
    for each in phase.get("preconditions") or ():
        if each["holds"] is True and each["name"] in {"konnectivity is on", "konnectivity is off"}:
            return bool(each["name"].endswith("on"))
    return None


def _endpoints(
    slices: Sequence[Any],
) -> Iterator[tuple[str | None, object, str | None]]:
    for each in slices:
        port = _get(each, "ports", 0, "port")
        for endpoint in _list(_get(each, "endpoints")):
            yield (
                _text(_get(endpoint, "addresses", 0)),
                port,
                _text(_get(endpoint, "nodeName")),
            )


def _object(reading: Reading | None) -> Any:  # noqa: ANN401  # an object of the API, or none
    if reading is None or reading.returncode != 0:
        return None
    try:
        return plain_json(reading.stdout)
    except RefusedError:
        return None


def _items(reading: Reading | None) -> Sequence[Any]:
    return _list(_get(_object(reading), "items"))


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _get(value: Any, *keys: str | int) -> Any:  # noqa: ANN401  # JSON of any shape
    for key in keys:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _joined(address: object, port: object) -> str | None:
    if not isinstance(address, str):
        return None
    return f"{address}:{port}" if isinstance(port, int) else address


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found.group(1) if found else None
