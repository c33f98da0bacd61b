"""Where everything stands in the drawing of a lab, in pixels.

Machines are columns between two networks. Their parts stand right of a margin in which the lines
run: the request, and beside it what metrics-server scrapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.diagnose.model import HopState
from harness.report.html.run_folder import Machine
from harness.report.html.way import Place, Way

LEFT = 8
COLUMN = 320
NAT_Y = 42
MACHINES_Y = 104
PART = 46
# From a column's left: the interfaces to the private network and, from its right, to the NAT one.
PRIVATE_X = 31
NAT_X_FROM_RIGHT = 48
_GAP = 24
_HEAD = 44
_ALONE = 60
_BETWEEN = 16
_REQUEST_X = 22
_SCRAPE_X = 40
_PARTS_X = 58
_BELOW = 58
# How far the line of a request that leaves the lab can be followed on the NAT network.
_FOLLOWED = 120

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A part of a machine; its place on the way says how it is drawn."""

    label: str
    detail: str
    place: Place
    x: float
    y: float = 0
    width: float = COLUMN - _PARTS_X - 14
    virtual: bool = False

    @property
    def left(self) -> Point:
        """The middle of its left edge."""
        return (self.x, self.y + PART / 2)

    @property
    def right(self) -> Point:
        """The middle of its right edge."""
        return (self.x + self.width, self.y + PART / 2)

    @property
    def top(self) -> Point:
        """The middle of its upper edge."""
        return (self.x + self.width / 2, self.y)

    @property
    def bottom(self) -> Point:
        """The middle of its lower edge."""
        return (self.x + self.width / 2, self.y + PART)


@dataclass(frozen=True)
class Stretch:
    """One line of the way: the place whose hops speak of it, how it fares, its corners."""

    place: Place
    state: HopState
    points: tuple[Point, ...]
    mark: Point
    """Where a cross is put if it is this stretch that is broken."""


class Layout:
    """Machines with their parts, and the way of the request on them; at least one machine."""

    def __init__(self, machines: Sequence[Machine], way: Way) -> None:
        self.machines = machines
        self.way = way
        kubelets = [machine.name for machine in machines if machine.kubelet]
        names = {machine.name for machine in machines}
        # A pod that no machine runs has to stand somewhere.
        self._home = way.node if way.node in names else next(iter(kubelets), None)
        self.parts = {
            machine.name: tuple(self._parts(index, machine))
            for index, machine in enumerate(machines)
        }
        self.rows = max(map(len, self.parts.values()))
        self.machine_height = _HEAD + self.rows * (PART + _BETWEEN) if self.rows else _ALONE
        self.parts = {name: self._placed(boxes) for name, boxes in self.parts.items()}
        self.machines_bottom = MACHINES_Y + self.machine_height
        self.private_y = self.machines_bottom + _BELOW
        self.width = LEFT * 2 + len(machines) * (COLUMN + _GAP) - _GAP
        self.height = self.private_y + 34

    def column(self, index: int) -> float:
        """Return where the machine at `index` begins."""
        return LEFT + index * (COLUMN + _GAP)

    def cross(self) -> Point | None:
        """Return where the first broken hop lies, None where the drawing has no such place."""
        if self.way.broken is None:
            return None
        broken = (each for each in self.stretches() if each.state is HopState.BROKEN)
        stretch = next(broken, None)
        if stretch is not None:
            return stretch.mark
        box = self._at(self.way.broken_at) if self.way.broken_at else None
        return box.left if box is not None else None

    def stretches(self) -> Iterator[Stretch]:
        """Yield the way, as far as it is known which way that is."""
        start, out = self._at(Place.API_SERVER), self._at(Place.WAY_OUT)
        if start is None or out is None:
            return
        yield self._straight(Place.API_SERVER, start, out)
        service, pod = self._at(Place.SERVICE), self._at(Place.POD)
        if self._leaves_by_nat():
            yield self._lost(out)
        elif service is not None:
            yield from self._over_the_private_network(out, service)
        if service is not None and pod is not None:
            yield self._straight(Place.POD, service, pod)
            yield from self._scrapes(pod)

    def _parts(self, index: int, machine: Machine) -> Iterator[Box]:
        """Yield a machine's parts from top to bottom; `_placed` gives them their height.

        Without a diagnosis nobody knows what ran there, and the machines are drawn alone.
        """
        way = self.way
        x = self.column(index) + _PARTS_X
        if not way.states:
            return
        if machine.controller:
            # Status and reason; the message stands among the hops.
            said = " ".join((way.condition or "").split()[:2])
            yield Box("API server", said, Place.API_SERVER, x)
            if way.tunnel:
                yield Box("konnectivity server", "agents connect to :8132", Place.WAY_OUT, x)
            elif way.tunnel is False:
                device = f"dev {way.device}" if way.device else ""
                gateway = f"via {way.gateway}" if way.gateway else ""
                by = f"{device} {gateway}".strip()
                yield Box("the controller's own routes", by, Place.WAY_OUT, x)
        elif way.tunnel:
            yield Box("konnectivity agent", "", Place.ARRIVAL, x)
        if machine.name == self._home:
            address = way.cluster_ip or ""
            yield Box("Service metrics-server", address, Place.SERVICE, x, virtual=True)
            yield Box("metrics-server", way.endpoint or "no address", Place.POD, x)
        if machine.kubelet:
            yield Box("kubelet", ":10250", Place.KUBELETS, x)

    def _placed(self, boxes: Sequence[Box]) -> tuple[Box, ...]:
        """Put parts from the top down, a kubelet on the bottom row of every machine."""
        rows = [
            self.rows - 1 if box.place is Place.KUBELETS else row for row, box in enumerate(boxes)
        ]
        return tuple(
            replace(box, y=MACHINES_Y + _HEAD + row * (PART + _BETWEEN))
            for box, row in zip(boxes, rows, strict=True)
        )

    def _straight(self, place: Place, above: Box, below: Box) -> Stretch:
        (x, y), (_, end) = above.bottom, below.top
        state = self.way.walked(place)
        return Stretch(place, state, (above.bottom, below.top), (x, (y + end) / 2))

    def _lost(self, out: Box) -> Stretch:
        """Return the line out of the lab by the NAT interface, where nobody answers."""
        x = self.column(0) + COLUMN - NAT_X_FROM_RIGHT
        turn = self.column(0) + COLUMN - 8
        end = (min(self.column(0) + COLUMN + _FOLLOWED, self.width - 40), NAT_Y)
        y = MACHINES_Y + 18
        points = (out.right, (turn, out.right[1]), (turn, y), (x, y), (x, NAT_Y), end)
        return Stretch(Place.WAY_OUT, self.way.walked(Place.WAY_OUT), points, end)

    def _over_the_private_network(self, out: Box, service: Box) -> Iterator[Stretch]:
        here, there = self.column(0) + _REQUEST_X, service.x - _PARTS_X + _REQUEST_X
        agent = self._part_of(self._home, Place.ARRIVAL)
        first = agent or service
        # The line is the tunnel's; without one the route only says where it begins.
        place = Place.WAY_OUT if self.way.tunnel else Place.ARRIVAL
        on_the_net = self.private_y
        yield Stretch(
            place,
            self.way.walked(place),
            (
                out.left,
                (here, out.left[1]),
                (here, on_the_net),
                (there, on_the_net),
                (there, first.left[1]),
                first.left,
            ),
            ((here + there) / 2, on_the_net),
        )
        if agent is not None:
            yield self._straight(Place.ARRIVAL, agent, service)

    def _scrapes(self, pod: Box) -> Iterator[Stretch]:
        state = self.way.walked(Place.KUBELETS)
        lane, on_the_net = pod.x - _PARTS_X + _SCRAPE_X, self.private_y - 10
        for machine in self.machines:
            kubelet = self._part_of(machine.name, Place.KUBELETS)
            if kubelet is None:
                continue
            if machine.name == self._home:
                yield self._straight(Place.KUBELETS, pod, kubelet)
                continue
            to = kubelet.x - _PARTS_X + _SCRAPE_X
            yield Stretch(
                Place.KUBELETS,
                state,
                (
                    pod.left,
                    (lane, pod.left[1]),
                    (lane, on_the_net),
                    (to, on_the_net),
                    (to, kubelet.left[1]),
                    kubelet.left,
                ),
                ((lane + to) / 2, on_the_net),
            )

    def _leaves_by_nat(self) -> bool:
        return self.way.tunnel is False and self.way.device == self.machines[0].nat_name

    def _at(self, place: Place) -> Box | None:
        boxes = (box for each in self.machines for box in self.parts[each.name])
        return next((box for box in boxes if box.place is place), None)

    def _part_of(self, machine: str | None, place: Place) -> Box | None:
        boxes = self.parts[machine] if machine is not None else ()
        return next((box for box in boxes if box.place is place), None)
