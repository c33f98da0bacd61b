"""Elements of HTML and SVG, in which a text is a text whatever it holds.

Everything in a report comes from clusters, scenario files and programs, so nothing is trusted: a
plain string becomes text or a quoted attribute, never markup. Only `Markup` stands as it is, and
only this module and `page` make any.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias
from urllib.parse import quote, urlsplit

from harness.base.printable import printable

_VOID = frozenset({"br", "col", "hr", "meta"})
_SCHEMES = frozenset({"http", "https"})


class Markup(str):
    """Text that is markup already and is never escaped again."""

    __slots__ = ()


Child: TypeAlias = "Markup | str | Iterable[Child] | None"


def text(value: str) -> Markup:
    """Return `value` as text: escaped, and all of it visible, as on a terminal."""
    return Markup(escape(printable(value), quote=True))


def element(name: str, /, *children: Child, **attributes: str | float | None) -> Markup:
    """Return an element; strings among `children` are text, None is nothing.

    Attributes lose an underscore at their end and have `-` for the others (`class_`,
    `aria_label`); one that is None is left out.
    """
    opening = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{opening}>")
    return Markup(f"<{name}{opening}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    """Return `children` one after another, strings among them escaped."""
    return Markup("".join(_flat(children)))


def outward_link(address: str) -> Markup:
    """Return a link to `address`; what is no web address is shown as text and leads nowhere."""
    try:
        scheme = urlsplit(address).scheme.lower()
    except ValueError:
        return text(address)
    if scheme not in _SCHEMES:
        return text(address)
    return element("a", address, href=address, rel="noreferrer noopener")


def file_link(path: str, *children: Child) -> Markup:
    """Return a link to a file of the run's folder, `path` relative to it."""
    # Without the dot a name such as "javascript:x" would be an address of its own.
    return element("a", *(children or (path,)), href=f"./{quote(path, errors='replace')}")


def code(value: str) -> Markup:
    """Return `value` as code."""
    return element("code", value)


def table(
    caption: str, headings: Iterable[str], rows: Iterable[Markup], **attributes: str
) -> Markup:
    """Return a table that can be scrolled sideways where it is wider than the page."""
    head = element("tr", (element("th", each, scope="col") for each in headings))
    whole = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", rows),
        **attributes,
    )
    return scroller(caption, whole)


def scroller(label: str, *children: Child) -> Markup:
    """Return what may be wider than the page, so that the keyboard can scroll it too."""
    # A group and no region: every phase has tables of these names, and landmarks are unique.
    return element("div", children, class_="wide", role="group", aria_label=label, tabindex="0")


def fold(summary: Child, *children: Child, opened: bool = False) -> Markup:
    """Return `children` folded away under `summary`."""
    return element("details", element("summary", summary), children, open="" if opened else None)


def _flat(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        match child:
            case None:
                continue
            case Markup():
                yield child
            case str():
                yield text(child)
            case _:
                yield from _flat(child)


def _plain(value: str | float) -> str:
    # Coordinates: a tenth of a pixel is finer than anybody sees.
    return value if isinstance(value, str) else f"{round(value, 1):g}"
