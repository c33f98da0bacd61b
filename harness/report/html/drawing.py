"""The lab as a drawing: machines between two networks, and the way of the request on it.

The NAT network runs above the machines and the private one below them. The request starts at the
API server; at its first broken hop there is a cross, and what it would have passed beyond is
dotted.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.diagnose.model import HopState
from harness.report.formatting import one_line
from harness.report.html import layout, shapes
from harness.report.html.elements import Markup, element, scroller
from harness.report.html.layout import Box, Layout
from harness.report.html.run_folder import Machine
from harness.report.html.way import Place, Way

_TITLE = "The lab and the way of the request"
# Of these the ladder asks nothing by themselves: they stand as far as the way does.
_UNASKED = frozenset({Place.API_SERVER, Place.ARRIVAL, Place.KUBELETS})
_WORDS = {
    HopState.HOLDS: "holds",
    HopState.BROKEN: "is broken",
    HopState.NOT_SEEN: "was not seen",
}
# Characters of the 12 px monospace font in a pixel of width.
_MONO = 1 / 7.4
# How wide a letter of a machine's name is.
_NAME_LETTER = 8.8


def draw(machines: Sequence[Machine], way: Way, *, name: str) -> Markup | None:
    """Return the drawing, None where no machine is known; `name` makes its ids its own."""
    if not machines:
        return None
    plan = Layout(machines, way)
    title, description = f"{name}-title", f"{name}-description"
    drawn = element(
        "svg",
        element("title", _TITLE, id=title),
        element("desc", describe(machines, way), id=description),
        _networks(plan),
        (_machine(plan, index, each) for index, each in enumerate(machines)),
        (shapes.path(each.points, each.state) for each in plan.stretches()),
        # Interfaces last: the lines go in and out behind them.
        (_ports(plan, index, each) for index, each in enumerate(machines)),
        _cross(plan),
        role="img",
        class_="lab",
        viewBox=f"0 0 {plan.width} {plan.height}",
        width=plan.width,
        height=plan.height,
        aria_labelledby=f"{title} {description}",
    )
    return scroller(_TITLE, drawn)


def describe(machines: Sequence[Machine], way: Way) -> str:
    """Return the drawing in words, for those who cannot see it."""
    stands = ", ".join(
        f"{each.name} ({each.nat.ip if each.nat else 'no address seen'} on the NAT network, "
        f"{each.private.ip if each.private else 'no address seen'} on the private one)"
        for each in machines
    )
    if not way.states:
        return f"{stands}."
    out = "the konnectivity tunnel" if way.tunnel else "the controller's own routes"
    text = (
        f"{stands}. The request goes from the API server by "
        f"{out if way.tunnel is not None else 'a way that was not seen'} to Service metrics-server "
        f"{way.cluster_ip or ''}, to its pod {way.endpoint or ''} on {way.node or 'no machine'}, "
        "and from there to the kubelets."
    )
    if way.broken is None:
        return f"{text} No hop is broken."
    return f"{text} First broken hop: {way.broken['name']}: {one_line(way.broken['text'])}."


def _networks(plan: Layout) -> Markup:
    nat = next((each.nat for each in plan.machines if each.nat), None)
    private = next((each.private for each in plan.machines if each.private), None)
    left, right = layout.LEFT, plan.width - layout.LEFT
    return element(
        "g",
        shapes.line("net", (left, layout.NAT_Y), (right, layout.NAT_Y)),
        shapes.label(left, layout.NAT_Y - 14, "NAT network", nat and nat.network),
        shapes.line("net", (left, plan.private_y), (right, plan.private_y)),
        shapes.label(left, plan.private_y + 25, "private network", private and private.network),
    )


def _machine(plan: Layout, index: int, machine: Machine) -> Markup:
    x, y = plan.column(index), layout.MACHINES_Y
    up, down = x + layout.COLUMN - layout.NAT_X_FROM_RIGHT, x + layout.PRIVATE_X
    after_name = x + 16 + _NAME_LETTER * len(machine.name) + 12
    return element(
        "g",
        shapes.line("net", (up, layout.NAT_Y), (up, y)),
        shapes.line("net", (down, plan.machines_bottom), (down, plan.private_y)),
        shapes.rectangle("machine", (x, y), (layout.COLUMN, plan.machine_height), rounded=6),
        element("text", machine.name, class_="name", x=x + 16, y=y + 27),
        element("text", f"pods {machine.pods}", class_="quiet", x=after_name, y=y + 27)
        if machine.pods
        else None,
        (_box(plan, each) for each in plan.parts[machine.name]),
    )


def _ports(plan: Layout, index: int, machine: Machine) -> Markup:
    x, y, bottom = plan.column(index), layout.MACHINES_Y, plan.machines_bottom
    nat = str(machine.nat.ip) if machine.nat else ""
    private = str(machine.private.ip) if machine.private else ""
    right = x + layout.COLUMN
    return element(
        "g",
        shapes.port(right - layout.NAT_X_FROM_RIGHT, y, machine.nat_name),
        element("text", nat, class_="address end", x=right - 84, y=y - 12),
        shapes.port(x + layout.PRIVATE_X, bottom, machine.private_name),
        element("text", private, class_="address", x=x + 68, y=bottom + 22),
    )


def _box(plan: Layout, box: Box) -> Markup:
    state = None if box.place in _UNASKED else plan.way.states.get(box.place)
    detail = one_line(box.detail)
    fits = int((box.width - 24) * _MONO)
    shown = detail if len(detail) <= fits else f"{detail[: fits - 1]}…"
    label_y = box.y + (19 if detail else 28)
    css = f"part{' virtual' if box.virtual else ''} {shapes.css(state)}".rstrip()
    return element(
        "g",
        element("title", f"{box.label} {detail}: {_WORDS[state]}") if state else None,
        shapes.rectangle(css, (box.x, box.y), (box.width, layout.PART), rounded=4),
        element("text", box.label, class_="label", x=box.x + 12, y=label_y),
        element("text", shown, class_="address", x=box.x + 12, y=box.y + 36) if shown else None,
        shapes.mark(box.x + box.width - 18, box.y + 16, state),
    )


def _cross(plan: Layout) -> Markup | None:
    at = plan.cross()
    if at is None or plan.way.broken is None:
        return None
    return shapes.cross(*at, f"first broken hop: {plan.way.broken['name']}")
