"""The pages in a real browser: they load nothing, run nothing, and can be read by everybody.

Chromium is spoken to in the Chrome DevTools Protocol over a pipe: it reads messages from descriptor
3 and writes its own to descriptor 4, JSON with a zero byte behind each. No port is opened, and
nothing has to be installed besides the browser. Skipped where there is none; no machine is needed.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.base.errors import HostLacksError
from harness.check.model import Verdict
from harness.cli.recorded import find_runs
from harness.engine.outcome import Outcome
from harness.engine.results import ScenarioResult
from harness.report.html import index, run_comparison
from harness.report.html.page import page, render
from harness.report.html.run_folder import read
from harness.report.json_report import document as document_of
from harness.report.run_comparison import compare

TESTS = Path(__file__).parents[1]
RUN = TESTS / "recordings/run-konnectivity-off"
DEMO = TESTS.parent / "demo/konnectivity-off.tar.gz"
PAGES = ("report", "index", "comparison")
ATTACK = (
    "</title></style></script><script>document.title='run'</script>"
    "<img src=x onerror=\"document.title='run'\"><style>*{display:none}</style>"
    "<link rel=stylesheet href=http://127.0.0.1:9/x.css><meta http-equiv=refresh content=0>"
)
# WCAG 2.2 AA: 4.5 for text, 3 for text of 24 px, or of 18.66 px in bold, and more.
CONTRAST = """
(() => {
  const rgb = colour => { const [r, g, b, a] = colour.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a === undefined ? 1 : a]; };
  const light = channels => { const [r, g, b] = channels.slice(0, 3).map(value => {
      value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (node, svg) => {
    if (svg) {
      // The last shape before the text, in the order of drawing, that it lies on.
      const at = node.getBBox(), x = at.x + at.width / 2, y = at.y + at.height / 2;
      const under = [...svg.querySelectorAll('rect')].filter(shape => {
        const box = shape.getBBox();
        return shape.compareDocumentPosition(node) & 4 && box.x <= x && x <= box.x + box.width
          && box.y <= y && y <= box.y + box.height; }).map(shape => getComputedStyle(shape).fill)
        .filter(fill => fill !== 'none');
      if (under.length) return rgb(under.at(-1));
    }
    for (let each = svg || node; each; each = each.parentElement) {
      const colour = rgb(getComputedStyle(each).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const poor = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || ['TITLE', 'DESC', 'title', 'desc'].includes(node.tagName)
        || !node.getClientRects().length) continue;
    const svg = node.closest('svg'), style = getComputedStyle(node);
    const [one, two] = [light(rgb(svg ? style.fill : style.color)), light(behind(node, svg))];
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    const size = parseFloat(style.fontSize), bold = style.fontWeight >= 600;
    seen += 1;
    if (ratio < (size >= 24 || bold && size >= 18.66 ? 3 : 4.5))
      poor.push([texts.currentNode.data.slice(0, 40), ratio.toFixed(2), node.className.baseVal
        || node.className]);
  }
  return {seen, poor};
})()
"""


# What Debian, Ubuntu, Fedora and Google call it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# An answer takes milliseconds; on a host that emulates machines, seconds.
ANSWER_SECONDS = 120
_AT_3_AND_4 = """
import os, sys
reads, writes = map(int, sys.argv[1:3])
os.dup2(reads, 3), os.dup2(writes, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """One page of a running browser; `events` has all that the browser told unasked."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._number = 0
        self._rest = b""
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> Any:
        """Send a command and return its result; fails with what the browser refused."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def open(self, path: Path) -> None:
        """Load a file and wait until all of it is there."""
        self.events.clear()
        self.ask("Page.navigate", url=path.as_uri())
        while not self.told("Page.loadEventFired"):
            self.events.append(self._next())

    def told(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of all events of one kind."""
        return [each["params"] for each in self.events if each.get("method") == method]

    def value(self, expression: str) -> Any:
        """Return what an expression of JavaScript comes to in the page."""
        result = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def prefer(self, scheme: str) -> None:
        """Make the page light or dark, as the person's system would."""
        self.ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def size(self, width: int, height: int) -> None:
        """Give the window a size in CSS pixels."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def screenshot(self, path: Path, height: int | None = None) -> None:
        """Write a picture of the page from its top: all of it, or `height` pixels."""
        whole = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0,
            "y": 0,
            "width": self.value("innerWidth"),
            "height": height or whole["height"],
            "scale": 1,
        }
        data = self.ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            readable, _, _ = select.select([self._from], [], [], ANSWER_SECONDS)
            assert readable, f"the browser has said nothing for {ANSWER_SECONDS} s"
            read = os.read(self._from, 1 << 20)
            assert read, "the browser has ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


@contextlib.contextmanager
def browser(program: str, profile: Path) -> Iterator[Page]:
    """Start a browser with a profile of its own, and end it."""
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()
    argv = [
        program,
        "--headless=new",
        # Neither has what it needs in a container; only the report is ever opened.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--hide-scrollbars",
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
        "about:blank",
    ]
    # Out of the way of 3 and 4, where the browser looks for them.
    above = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (theirs_in, theirs_out)]
    process = subprocess.Popen(
        [sys.executable, "-c", _AT_3_AND_4, *map(str, above), *argv],
        pass_fds=above,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for each in (theirs_in, theirs_out, *above):
        os.close(each)
    try:
        yield Page(ours_out, ours_in)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        os.close(ours_in)
        os.close(ours_out)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on this host, so no report was opened in a browser")
    with browser(program, tmp_path_factory.mktemp("profile")) as started:
        yield started


def recorded(at: Path = RUN) -> ScenarioResult:
    return find_runs(at, TESTS).results[0]


def document() -> dict[str, Any]:
    return document_of(recorded())


def not_met(run: ScenarioResult) -> ScenarioResult:
    """Return the run as if what it expects had not come about."""
    verdicts = [
        replace(each, verdict=Verdict.NOT_MET, explanation="it was lost again")
        for each in run.phases[0].verdicts
    ]
    phase = replace(run.phases[0], verdicts=tuple(verdicts))
    return replace(run, outcome=Outcome.NOT_MET, phases=(phase, *run.phases[1:]))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The three kinds of page, with all of their parts."""
    run, lacks = recorded(), HostLacksError("Looking for memory", "there are 2 GB")
    of = {
        "report": render(run),
        "index": index.render(run.run_id, [run, not_met(run)], {"another.yaml": lacks}),
        "comparison": run_comparison.render(compare([not_met(run)], [recorded(DEMO)])),
    }
    folder = tmp_path_factory.mktemp("pages")
    for name, html in of.items():
        (folder / f"{name}.html").write_text(html)
    return {name: folder / f"{name}.html" for name in of}


@pytest.fixture(scope="module")
def report(pages: dict[str, Path]) -> Path:
    return pages["report"]


def problems(of: Page) -> list[object]:
    """Return what the page's console and the browser complained about."""
    return [*of.told("Log.entryAdded"), *of.told("Runtime.exceptionThrown"), *_console(of)]


def _console(of: Page) -> list[object]:
    return list(of.told("Runtime.consoleAPICalled"))


def requested(of: Page) -> list[str]:
    return [each["request"]["url"] for each in of.told("Network.requestWillBeSent")]


def press(in_page: Page, key: str) -> None:
    """Press a key as a person does, so that the focus is shown."""
    code = {"Tab": 9, "Enter": 13}[key]
    text = {"text": "\r"} if key == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        in_page.ask(
            "Input.dispatchKeyEvent",
            type=kind,
            key=key,
            code=key,
            windowsVirtualKeyCode=code,
            **(text if kind == "keyDown" else {}),
        )


def open_all(in_page: Page) -> None:
    in_page.value("document.querySelectorAll('details').forEach(each => each.open = true)")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("report", "konnectivity-off: met"),
        ("index", "20261123-164805-3219: 1 of 3 scenarios met"),
        ("comparison", "konnectivity-off: verdicts or causes differ"),
    ],
)
def test_a_page_opens_without_a_complaint_and_asks_for_nothing(
    opened: Page, pages: dict[str, Path], name: str, title: str
):
    opened.open(pages[name])
    opened.value("1")
    assert problems(opened) == []
    assert requested(opened) == [pages[name].as_uri()]
    assert opened.value("document.title") == title
    # The style was let in by its hash; without it the body would have no bound.
    assert opened.value("getComputedStyle(document.body).maxWidth") == "1100px"


def test_hostile_text_does_nothing_in_a_browser(opened: Page, tmp_path: Path):
    of = document()
    of["title"] += ATTACK
    of["scenario"] += ATTACK
    of["references"].append("javascript:document.title='run'")
    for phase in of["phases"]:
        for each in (*phase["verdicts"], *phase["diagnosis"]["hops"]):
            each.update({key: f"{value}{ATTACK}" for key, value in each.items() if key == "text"})
    path = tmp_path / "report.html"
    path.write_text(page(of, read(RUN), origins=ATTACK, repeat=ATTACK))
    opened.open(path)
    assert opened.value("document.title") == f"konnectivity-off{ATTACK}: met"
    assert (
        opened.value("document.querySelectorAll('script, img, link, meta[content=\"0\"]').length")
        == 0
    )
    assert requested(opened) == [path.as_uri()]
    assert problems(opened) == []


def test_the_policy_holds_where_markup_has_got_in_all_the_same(opened: Page, tmp_path: Path):
    # As if something had not been escaped: the second line of defence, seen at work.
    injected = page(document(), read(RUN)).replace(
        "<main", f"{ATTACK.partition('<meta')[0]}<main", 1
    )
    path = tmp_path / "report.html"
    path.write_text(injected)
    opened.open(path)
    opened.value("new Promise(done => setTimeout(done, 300))")
    assert opened.value("document.title") == "konnectivity-off: met"
    assert opened.value("document.querySelectorAll('body script, body img').length") == 2
    assert opened.value("getComputedStyle(document.querySelector('h1')).display") == "block"
    said = json.dumps(problems(opened))
    for directive in ("script-src", "img-src", "style-src"):
        assert directive in said
    failed = {each["requestId"] for each in opened.told("Network.loadingFailed")}
    loaded = {each["requestId"] for each in opened.told("Network.responseReceived")} - failed
    sent = {
        each["request"]["url"]
        for each in opened.told("Network.requestWillBeSent")
        if each["requestId"] in loaded
    }
    assert sent == {path.as_uri()}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_told_from_its_ground(
    opened: Page, pages: dict[str, Path], scheme: str, name: str
):
    opened.prefer(scheme)
    opened.open(pages[name])
    open_all(opened)
    ground = opened.value("getComputedStyle(document.documentElement).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    contrast = opened.value(CONTRAST)
    assert contrast["seen"] > (300 if name == "report" else 25)
    assert contrast["poor"] == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [360, 800, 1600])
def test_the_page_itself_never_scrolls_sideways(
    opened: Page, pages: dict[str, Path], width: int, name: str
):
    opened.size(width, 900)
    opened.open(pages[name])
    open_all(opened)
    assert opened.value("document.documentElement.scrollWidth") <= width
    assert opened.value("document.body.getBoundingClientRect().width") <= 1100


def test_headings_and_drawings_reach_assistive_technology(opened: Page, report: Path):
    opened.open(report)
    opened.ask("Accessibility.enable")
    nodes = opened.ask("Accessibility.getFullAXTree")["nodes"]
    named = {
        (each["role"]["value"], each.get("name", {}).get("value", ""))
        for each in nodes
        if "role" in each and not each["ignored"]
    }
    roles = {role for role, _ in named}
    assert {"banner", "main", "contentinfo", "heading", "table"} <= roles
    assert ("region", "Cause") in named
    drawings = [name for role, name in named if role in {"image", "img"} and name]
    assert any("First broken hop" in name for name in drawings)


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_reaches_everything_and_shows_where_it_is(
    opened: Page, pages: dict[str, Path], name: str
):
    opened.open(pages[name])
    # What can be reached, in the order of the page; what is folded away cannot.
    count = opened.value(
        "(stops = [...document.querySelectorAll(STOPS)].filter(VISIBLE)).length".replace(
            "STOPS", "'a[href], summary, [tabindex=\"0\"]'"
        ).replace("VISIBLE", "each => each.checkVisibility()")
    )
    for number in range(count):
        press(opened, "Tab")
        reached = opened.value("""(() => {
            const at = document.activeElement, box = at.getBoundingClientRect();
            return {number: stops.indexOf(at), outline: getComputedStyle(at).outlineStyle,
                    seen: box.width > 0 && box.right > 0 && box.bottom > 0};
        })()""")
        assert reached == {"number": number, "outline": "solid", "seen": True}


def test_the_first_link_leads_past_the_header_and_a_fold_opens_by_the_keyboard(
    opened: Page, report: Path
):
    opened.open(report)
    press(opened, "Tab")
    assert opened.value("document.activeElement.textContent") == "To the cause"
    press(opened, "Enter")
    assert opened.value("location.hash") == "#main"
    press(opened, "Tab")
    assert opened.value("document.activeElement.closest('main') !== null")
    opened.value("document.querySelector('summary').focus()")
    press(opened, "Enter")
    assert opened.value("document.querySelector('details').open")


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_that_keeps_people_out(opened: Page, pages: dict[str, Path], name: str):
    program = os.environ.get("AXE_CORE")
    if program is None:
        pytest.skip("AXE_CORE names no axe.min.js (npm pack axe-core has one)")
    opened.open(pages[name])
    open_all(opened)
    opened.value(Path(program).read_text(encoding="utf-8"))
    found = opened.value(
        "axe.run().then(found => found.violations.map(each => "
        "[each.id, each.help, each.nodes.map(node => node.html)]))"
    )
    assert found == []


def test_printed_it_has_what_is_folded_away(opened: Page, report: Path):
    opened.open(report)
    hidden = "document.querySelector('details pre').checkVisibility({contentVisibilityAuto: true})"
    assert opened.value(hidden) is False
    opened.ask("Emulation.setEmulatedMedia", media="print")
    try:
        height = "document.querySelector('details pre').getBoundingClientRect().height"
        assert opened.value(height) > 100
    finally:
        opened.ask("Emulation.setEmulatedMedia", media="")


def test_printed_it_keeps_its_colours_and_has_a_white_ground(opened: Page, report: Path):
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    opened.ask("Emulation.setEmulatedMedia", media="print", features=dark)
    try:
        opened.open(report)
        style = "getComputedStyle(document.querySelector('{}')).{}"
        assert opened.value(style.format("html", "backgroundColor")) == "rgb(255, 255, 255)"
        assert opened.value(style.format(".outcome", "printColorAdjust")) == "exact"
        assert opened.value(style.format(".outcome", "backgroundColor")) != "rgba(0, 0, 0, 0)"
        assert opened.value(CONTRAST)["poor"] == []
    finally:
        opened.ask("Emulation.setEmulatedMedia", media="", features=[])


def test_a_picture_of_it_can_be_taken(opened: Page, report: Path, tmp_path: Path):
    opened.size(1104, 900)
    opened.prefer("light")
    opened.open(report)
    # docs/images/report.png is made with REPORT_PICTURE=docs/images/report.png.
    picture = Path(os.environ.get("REPORT_PICTURE", tmp_path / "report.png"))
    opened.screenshot(picture, height=1660)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000
