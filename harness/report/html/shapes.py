"""The shapes that the drawing of a lab is made of."""

from __future__ import annotations

from collections.abc import Sequence

from harness.diagnose.model import HopState
from harness.report.html.elements import Markup, element
from harness.report.html.layout import Point

_CSS = {HopState.HOLDS: "good", HopState.BROKEN: "bad"}
# An interface's name may be long; the kernel allows 15 characters, seven fit.
_PORT_CHARACTERS = 7


def css(state: HopState | None) -> str:
    """Return the class of a state's colour; what was not seen has none."""
    return _CSS.get(state, "") if state else ""


def line(name: str, start: Point, end: Point) -> Markup:
    """Return a straight line of the class `name`."""
    return element("line", class_=name, x1=start[0], y1=start[1], x2=end[0], y2=end[1])


def rectangle(name: str, corner: Point, size: Point, *, rounded: float) -> Markup:
    """Return a rectangle of the class `name` by its upper left corner."""
    (x, y), (width, height) = corner, size
    return element("rect", class_=name, x=x, y=y, width=width, height=height, rx=rounded)


def label(x: float, y: float, words: str, address: object) -> Markup:
    """Return a network's name with its address behind it, where that is known."""
    behind = element("tspan", f"  {address}", class_="address") if address else None
    return element("text", words, behind, class_="network", x=x, y=y)


def port(x: float, y: float, name: str) -> Markup:
    """Return a network interface around the point where its machine's edge is crossed."""
    return element(
        "g",
        rectangle("port", (x - 28, y - 11), (56, 22), rounded=3),
        element("text", name[:_PORT_CHARACTERS], class_="address middle", x=x, y=y + 4),
    )


def mark(x: float, y: float, state: HopState | None) -> Markup | None:
    """Return a tick, a cross or a question mark, so that colour is never all that tells."""
    if state is None:
        return None
    if state is HopState.NOT_SEEN:
        return element("text", "?", class_="mark", x=x - 3, y=y + 4)
    shape = "m-5 0l3.5 4l6.5 -8" if state is HopState.HOLDS else "m-4 -4l8 8m0 -8l-8 8"
    return element("path", class_=f"mark {css(state)}", d=f"M{x:g} {y:g}{shape}")


def cross(x: float, y: float, title: str) -> Markup:
    """Return the mark of the first broken hop."""
    return element(
        "g",
        element("title", title),
        element("circle", class_="cross", cx=x, cy=y, r=11),
        element("path", class_="cross", d=f"M{x - 4.5:g} {y - 4.5:g}l9 9m0 -9l-9 9"),
    )


def path(points: Sequence[Point], state: HopState) -> Markup:
    """Return a line along `points`, with an arrow at its end unless it is broken."""
    name = css(state) or "unreached"
    along = " ".join(f"{x:g},{y:g}" for x, y in points)
    return element(
        "g",
        element("polyline", class_=f"way {name}", points=along),
        None if state is HopState.BROKEN else _arrow(points[-2], points[-1], name),
    )


def _arrow(before: Point, end: Point, name: str) -> Markup:
    """Return the tip of a line that runs along an axis."""
    (x0, y0), (x, y) = before, end
    dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
    back = f"l{-7 * dx - 4 * dy:g} {-7 * dy - 4 * dx:g}"
    return element("path", class_=f"arrow {name}", d=f"M{x:g} {y:g}{back}l{8 * dy:g} {8 * dx:g}z")
