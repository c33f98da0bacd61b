"""What `report.html` shows, and that nothing in it can become markup, a script or a request.

The run is a real one (tests/recordings/run-konnectivity-off); what is hostile is put into it here.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness.evidence.old_format import report_with_ids
from harness.report.html.elements import element, file_link, outward_link, text
from harness.report.html.page import page
from harness.report.html.run_folder import RunFolder, read
from tests.unit.paths import RECORDINGS

RUN = RECORDINGS / "run-konnectivity-off"
HOSTILE = (
    "</title></style></script></svg></pre><script>alert(1)</script>"
    "<img src=x onerror=alert(1)>\" onmouseover='alert(2)' x=\"&lt;b&gt;&#0;]]>"
    "<!-- <?php javascript:alert(3) \x00\x1b[31m\u202egnp.exe"
)
FLOWS = [
    {
        "flow": "pod-to-cluster-ip",
        "source": "worker0/coredns",
        "target": "worker1",
        "address": "10.96.0.10:53",
        "outcome": "works",
        "stage": "payload",
        "seconds": 0.04,
        "words": "",
    },
    {
        "flow": "pod-to-cluster-ip",
        "source": "worker1/coredns",
        "target": "worker0",
        "address": "10.96.0.10:53",
        "outcome": "timed-out",
        "stage": "connect",
        "seconds": 5.0,
        "words": "Connection timed out after 5001 milliseconds",
    },
]


class Parsed(HTMLParser):
    """Elements with their attributes, and the text, of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.comments = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, _data: str) -> None:
        self.comments += 1

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def document(**values: Any) -> dict[str, Any]:
    return {**report_with_ids(json.loads((RUN / "report.json").read_text())), **values}


def shown(report: dict[str, Any] | None = None, folder: Path = RUN) -> Parsed:
    found = read_once() if folder == RUN else read(folder)
    return Parsed(page(report or document(), found, origins="own build", repeat="again"))


@functools.cache
def read_once() -> RunFolder:
    return read(RUN)


def with_everything() -> dict[str, Any]:
    """A report with something in each of its fields, also those that a good run leaves empty."""
    report = document(
        error="Applying k0s: no end\nline",
        leftovers=["network"],
        not_entered=["third"],
        sums={"cold_start": 100.0, "own": 2.0},
        shared_lab="another",
        seed="a seeded image",
        pace=2.0,
    )
    broken = report["phases"][0]
    broken["flows"] = FLOWS
    broken["skipped"] = ["gated"]
    broken["preconditions"][0]["holds"] = None
    broken["preconditions"][1]["holds"] = False
    broken["diagnosis"].update(
        also=["tunnel-down"],
        ruled_out=["the pod is not down"],
        not_seen=["the tunnel"],
        check_again="kubectl top nodes",
        look_again="in 40 s",
        link="https://example.org/",
    )
    broken["diagnosis"]["hops"][0]["raw"] = "what the command printed"
    return report


# What decides how a report is drawn, and is one of a few words or a time in any report.
WORDS = frozenset(
    {"outcome", "verdict", "state", "cause", "confidence", "flow", "started", "ended", "kind"}
)


def marked(value: Any, mark: str, key: str = "", found: Counter[str] | None = None) -> Any:
    """Return a report with `mark` in every free text; `found` counts them by their field."""
    match value:
        case dict():
            named_by_people = key in {"settings", "isolation", "versions", "timings"}
            return {
                (name + mark if named_by_people else name): marked(each, mark, name, found)
                for name, each in value.items()
            }
        case list():
            return [marked(each, mark, key, found) for each in value]
        case str() if key not in WORDS:
            if found is not None:
                found[key] += 1
            return value + mark
    return value


def marked_folder(to: Path, mark: str, name: str) -> Path:
    shutil.copytree(RUN, to)
    (to / "k0sctl.log").write_text((RUN / "k0sctl.log").read_text() + mark + "\n")
    (to / "missing.json").write_text(json.dumps({f"kube/{mark}": mark}))
    (to / name).write_text("")
    addresses = to / "nodes/worker0/addresses.txt"
    addresses.write_text(addresses.read_text().replace("eth0@if325", f"e{name}"))
    return to


def hostile_folder(to: Path) -> Path:
    return marked_folder(to, HOSTILE, '<b onclick="x">.txt')


# --- nothing gets in, nothing gets out ---------------------------------------------------------


def test_hostile_text_in_every_field_adds_no_element_and_no_attribute(tmp_path):
    found: Counter[str] = Counter()
    calm = shown(
        marked(with_everything(), " calm"), marked_folder(tmp_path / "calm", "calm", "calm.txt")
    )
    bad = shown(
        marked(with_everything(), HOSTILE, found=found), hostile_folder(tmp_path / "hostile")
    )

    def shape(parsed: Parsed) -> list[tuple[str, list[str]]]:
        # How much of a text fits into a drawing depends on its length.
        drawn = {"text", "tspan"}
        return [(tag, sorted(each)) for tag, each in parsed.elements if tag not in drawn]

    assert shape(bad) == shape(calm)
    assert len(shape(bad)) > 500
    assert bad.comments == 0
    assert bad.text.count("<script>alert(1)</script>") > 100
    # As many fields as there are in a report, or this proves nothing.
    assert {"title", "text", "observed_text", "command", "sha256", "value", "error"} <= set(found)
    assert len(found) > 30


def test_the_page_allows_nothing_but_its_own_style():
    html = page(document(), read(RUN))
    policy = next(
        each["content"]
        for each in Parsed(html).named("meta")
        if each.get("http-equiv") == "Content-Security-Policy"
    )
    style = re.search("<style>(.*?)</style>", html, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert "url(" not in style
    assert "@import" not in style
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_the_page_is_one_file():
    parsed = shown()
    attributes = {name for _, each in parsed.elements for name in each}
    assert not attributes & {"src", "srcset", "style", "data", "action", "background"}
    assert not {tag for tag, _ in parsed.elements} & {"script", "link", "img", "iframe", "object"}
    links = [each["href"] for each in parsed.named("a")]
    assert all(link.startswith(("https://github.com/", "./", "#")) for link in links)
    assert "https://github.com/k0sproject/k0s/issues/5781" in links


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "JaVaScript:alert(1)", "data:text/html,x", "//x", "http://[", "x", ""],
)
def test_what_is_no_web_address_leads_nowhere(address):
    assert "<a" not in outward_link(address)


def test_a_file_with_a_strange_name_is_linked_as_a_file():
    link = Parsed(file_link('javascript:x?#"<.txt')).named("a")
    assert link == [{"href": "./javascript%3Ax%3F%23%22%3C.txt"}]


def test_what_cannot_be_shown_is_replaced():
    assert text("a\x00\x1b\u202eb\ud800") == r"a\x00\x1b\u202eb\ud800"
    assert element("p", "a\nb\tc") == "<p>a\nb\tc</p>"


# --- what it says ------------------------------------------------------------------------------


def test_verdict_and_cause_come_first():
    said = " ".join(shown().text.partition("The way of the request")[0].split())
    for part in (
        "Without konnectivity the metrics API is unavailable, and turning it on repairs it",
        "met 6 of 6 expectations were met.",
        "Stood there: three containers sharing this host's kernel.",
        "no-route-to-service-network high confidence, in phase broken",
        "First broken hop",
        "10.98.36.28 goes by the default route via 172.30.64.1 dev eth0",
        "or, while it stays off, on the controller: ip route add 10.96.0.0/12 via 192.168.56.11",
        "Phase repaired: healthy",
    ):
        assert part in said


def test_every_expectation_precondition_hop_and_event_is_there():
    report, parsed = document(), shown()
    said = " ".join(parsed.text.split())
    for phase in report["phases"]:
        for verdict in phase["verdicts"]:
            assert " ".join(verdict["expected_text"].split()) in said
            assert verdict["observed_text"] in said
            for transition in verdict["transitions"]:
                assert transition["text"] in said
        for each in phase["preconditions"]:
            assert each["name"] in said
            assert each["text"] in said
        for hop in phase["diagnosis"]["hops"]:
            assert hop["text"] in said
            assert hop["command"] in said
    for used in report["artifacts"]:
        assert used["sha256"] in said


def test_what_went_wrong_beside_the_verdicts_stands_at_the_top():
    said = shown(with_everything()).text.partition("The way of the request")[0]
    for part in (
        "Applying k0s: no end",
        "Left behind",
        "Not entered, so nothing is said of: third.",
        "Also: tunnel-down",
        "the pod is not down",
        "kubectl top nodes",
        "look again in 40 s",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("outcome", "css", "words"),
    [
        ("met", "good", "6 of 6 expectations were met"),
        ("not-met", "bad", "6 of 6 expectations were met"),
        ("inconclusive", "unsure", "could not be judged"),
        ("infrastructure", "unsure", "machines or the harness failed"),
        ("interrupted", "unsure", "was interrupted"),
    ],
)
def test_each_outcome_has_its_word_and_colour(outcome, css, words):
    parsed = shown(document(outcome=outcome))
    assert (
        next(each for each in parsed.named("strong") if "class" in each)["class"]
        == f"outcome {css}"
    )
    assert words in parsed.text


def test_a_run_that_entered_no_phase_has_a_report():
    said = shown(document(phases=[], error="interrupted", outcome="interrupted")).text
    assert "What ended the run" in said
    assert "Timeline" not in said


def test_a_report_without_its_folder_is_still_one(tmp_path):
    parsed = shown(folder=tmp_path / "gone")
    assert "no-route-to-service-network" in parsed.text
    assert not [each for each in parsed.named("svg") if each["class"] == "lab"]


@pytest.mark.parametrize("junk", [b"\x00\xff\xfe", b"{", b"[" * 100_000, b'{"a": 1}\n', b"- : -"])
def test_a_folder_of_junk_costs_what_it_would_have_said(tmp_path, junk):
    shutil.copytree(RUN, tmp_path / "run")
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            path.write_bytes(junk)
    (tmp_path / "run/missing.json").write_bytes(junk)
    assert "no-route-to-service-network" in shown(folder=tmp_path / "run").text


def test_the_logs_end_the_missing_pieces_and_every_file_are_there(tmp_path):
    parsed = shown(folder=hostile_folder(tmp_path / "run"))
    assert "k0s cluster version v1.32.3+k0s.0 is now installed" in parsed.text
    assert "Pieces that are not there" in parsed.text
    links = [each["href"] for each in parsed.named("a")]
    assert "./nodes/controller0/addresses.txt" in links
    assert "./%3Cb%20onclick%3D%22x%22%3E.txt" in links


def test_the_flow_matrix_is_shown_where_there_is_one():
    assert "Flow matrix" not in shown().text
    said = " ".join(shown(with_everything()).text.split())
    assert "pod to cluster ip partial 1 of 2" in said.replace("partial1", "partial 1").replace(
        "ippartial", "ip partial"
    )
    assert "Connection timed out after 5001 milliseconds" in said


def test_only_what_differs_stands_in_the_comparison():
    html = page(document(), read(RUN))
    compared = Parsed(html[html.index('id="differences"') : html.index('id="evidence"')]).text
    assert "--egress-selector-config-file=/var/lib/k0s/konnectivity.conf" in compared
    assert "*:8132" in compared
    assert "turn konnectivity-server on" in compared
    assert "the controller's route to the dialled address" in compared
    # The same in both phases: the pod, the Service, every other flag, the node addresses.
    for same in ("Ready: metrics-server", "stands for", "--secure-port", "192.168.56.11"):
        assert same not in compared


def test_one_phase_alone_is_compared_with_nothing():
    report = document()
    assert "against phase" in shown(report).text
    report["phases"] = report["phases"][:1]
    assert "against phase" not in shown(report).text


# --- for everybody -----------------------------------------------------------------------------


def test_the_page_has_landmarks_headings_and_named_drawings():
    parsed = shown()
    tags = Counter(tag for tag, _ in parsed.elements)
    assert (tags["header"], tags["main"], tags["footer"], tags["h1"]) == (1, 1, 1, 1)
    assert parsed.named("html") == [{"lang": "en"}]
    ids = [each["id"] for _, each in parsed.elements if each.get("id")]
    assert len(ids) == len(set(ids))
    for drawing in parsed.named("svg"):
        assert drawing["role"] == "img"
        assert set(drawing["aria-labelledby"].split()) <= set(ids)
    sections = [each["aria-labelledby"] for each in parsed.named("section")]
    assert sections
    assert set(sections) <= set(ids)
    assert tags["table"] == tags["caption"] == tags["thead"]
    assert {each["scope"] for each in parsed.named("th")} == {"col", "row"}


def test_the_drawings_say_in_words_what_they_show():
    said = shown().text
    assert (
        "The request goes from the API server by the controller's own routes to Service "
        "metrics-server 10.98.36.28:443, to its pod 10.244.0.3:10250 on worker0" in said
    )
    assert "by the konnectivity tunnel" in said
    assert "Phase broken from second 0 to 166: apiservice met after 90s" in said
