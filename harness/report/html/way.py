"""The way of a request from the API server to the metrics, and where on it each hop lies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from harness.base.places import with_port
from harness.base.untrusted import RefusedError, plain_json
from harness.diagnose.model import HopId, HopState
from harness.engine.results import PreconditionId
from harness.evidence.reading import Reading
from harness.probe import top_nodes
from harness.probe.core import observe
from harness.vocabulary.words import TopOutcome


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
PLACES: Mapping[HopId, Place] = {
    HopId.API_SERVER: Place.API_SERVER,
    HopId.NODES: Place.MACHINES,
    HopId.BACKEND: Place.POD,
    HopId.ALIVE: Place.POD,
    HopId.SCRAPING: Place.KUBELETS,
    HopId.SERVICE: Place.SERVICE,
    HopId.EGRESS: Place.API_SERVER,
    HopId.TUNNEL: Place.WAY_OUT,
    HopId.MESH: Place.WAY_OUT,
    HopId.ROUTE: Place.WAY_OUT,
    HopId.DIAL: Place.ARRIVAL,
    HopId.PATH: Place.ARRIVAL,
    HopId.LARGE: Place.ARRIVAL,
    HopId.CONDITION: Place.CONDITION,
    HopId.DATA: Place.KUBELETS,
}
"""Where each hop lies; what else is affected lies nowhere."""


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


def place_of(hop: Mapping[str, Any]) -> Place | None:
    """Return where a hop (its JSON form) lies, None for one that is no part of the drawing."""
    known = hop["id"] in set(HopId)
    return PLACES.get(HopId(hop["id"])) if known else None


def way_of(phase: Mapping[str, Any], readings: Iterable[Reading]) -> Way:
    """Return the way in a phase (its JSON form), addresses from its last `readings`."""
    hops = (phase.get("diagnosis") or {}).get("hops") or ()
    raw = {reading.probe: reading for reading in readings}
    broken = next((hop for hop in hops if hop["state"] == HopState.BROKEN), None)
    route: Mapping[str, Any] = next((hop for hop in hops if hop["id"] == HopId.ROUTE), {})
    service = _object(raw.get("service"))
    slices = _items(raw.get("endpoints"))
    address, port, node = next(_endpoints(slices), (None, None, None))
    pod = next(iter(_items(raw.get("pods"))), None)
    cluster_ip = _get(service, "spec", "clusterIP")
    return Way(
        states=_scraped(raw.get("top_nodes"), hops) | _states(hops),
        tunnel=_has_tunnel(phase, raw.get("apiserver_flags")),
        broken=broken,
        broken_at=place_of(broken) if broken else None,
        device=route.get("device"),
        gateway=route.get("gateway"),
        cluster_ip=_joined(cluster_ip, _get(service, "spec", "ports", 0, "port")),
        endpoint=_joined(address, port),
        node=node or _text(_get(pod, "spec", "nodeName")),
        condition=next((hop["text"] for hop in hops if hop["id"] == HopId.CONDITION), None),
    )


def _states(hops: Sequence[Mapping[str, Any]]) -> dict[Place, HopState]:
    worst = (HopState.HOLDS, HopState.NOT_SEEN, HopState.BROKEN)
    found: dict[Place, HopState] = {}
    for hop in hops:
        place, state = place_of(hop), HopState(hop["state"])
        if place is not None:
            found[place] = max(found.get(place, HopState.HOLDS), state, key=worst.index)
    return found


def _scraped(top: Reading | None, hops: Sequence[object]) -> dict[Place, HopState]:
    """Rows of all nodes say that the kubelets were reached, also where no hop asks for it."""
    seen = observe(top_nodes.parse, top).value if top is not None else None
    complete = seen is not None and seen.outcome is TopOutcome.COMPLETE
    return {Place.KUBELETS: HopState.HOLDS} if hops and complete else {}


def _has_tunnel(phase: Mapping[str, Any], flags: Reading | None) -> bool | None:
    """What the running API server was started with, else what the phase presumed and found."""
    if flags is not None and flags.stdout:
        return "--egress-selector-config-file" in flags.stdout
    held = {each["id"] for each in phase.get("preconditions") or () if each["holds"] is True}
    if PreconditionId.KONNECTIVITY_ON in held:
        return True
    return False if PreconditionId.KONNECTIVITY_OFF in held else None


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
    return with_port(address, port) if isinstance(port, int) else address
