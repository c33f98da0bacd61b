"""What every page is: one file that loads nothing, runs nothing and is sent nowhere."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from harness.report.html.elements import Child, Markup, element

_STYLE = Path(__file__).with_name("report.css")


def whole(title: str, header: Markup, *sections: Child, skip: str, foot: str) -> str:
    """Return a page: its header with the answer, then its sections.

    `skip` says where its first link leads, past the header, for who goes by the keyboard. `foot`
    says what the page is.
    """
    body = element(
        "body",
        element("a", skip, href="#main", class_="skip"),
        header,
        element("main", sections, id="main"),
        element("footer", element("p", f"k0s-harness, {foot}")),
    )
    return f"<!doctype html>\n{element('html', _head(title), body, lang='en')}\n"


def _head(title: str) -> Markup:
    style = _STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # Nothing may be loaded, run, sent or framed; the one style is known by its hash.
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        # The stylesheet is the harness's own; escaped, it would be none.
        element("style", Markup(style)),
    )
