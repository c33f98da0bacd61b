"""Markdown made of text that others wrote: rendered, none of it acts."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.check.model import Verdict
from harness.diagnose.model import Confidence, Diagnosis, Hop, HopId, HopState
from harness.engine.outcome import Outcome
from harness.engine.results import (
    AppliedChange,
    ArtifactUsed,
    ExpectationResult,
    PhaseResult,
    Precondition,
    PreconditionId,
    ScenarioResult,
    SettingUsed,
)
from harness.report import catalogue, markdown, nightly, summary
from harness.scenario.load import load_all
from harness.vocabulary.words import Cause
from tests.unit.fuzz import examples
from tests.unit.hostile import HOSTILE, hostile_text, obeyed
from tests.unit.paths import PROJECT

# GitHub's tables and strikethrough; HTML passes as it does there.
RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# Ours: the ladder and the runs of a nightly are folded.
OUR_HTML = re.compile(r"<details><summary>(?:<code>)?[^<>]*(?:</code>)?</summary>|</details>|\s")
# What GitHub links in rendered text that is neither code nor a link.
GITHUB_LINKS = re.compile(r"(?<![A-Za-z0-9])@[A-Za-z0-9]|#\d|://|\bwww\.|\bGH-\d|\w@\w")

ACTING = (
    "![x](https://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "[x]: https://evil.example",
    "<img src=x onerror=alert(1)>",
    "</summary></details><script>x</script>",
    "<!-- -->",
    "<https://evil.example>",
    "https://evil.example/a_b",
    "www.evil.example",
    "someone@evil.example",
    "@k0sproject/maintainers",
    "k0sproject/k0s#5781",
    "GH-5781",
    "&#64;everybody &lt;b&gt;",
    "`",
    "``` ",
    "~~~",
    "|",
    "\\|",
    "a\\",
    "**b** __c__ *d* _e_ ~~f~~ $g$",
    "# heading",
    "===",
    "---",
    "- item",
    "+ item",
    "1. item",
    "> quote",
    ":-- | --:",
    "- [ ] task",
    "\n\n",
    "\n```\n",
    "a `b",
    "c` d",
)
acting_text = st.lists(st.sampled_from(ACTING) | hostile_text, min_size=1, max_size=5).flatmap(
    lambda parts: st.sampled_from(["", " ", "\n"]).map(lambda between: between.join(parts))
)


def tokens(text):
    for token in RENDERER.parse(text):
        yield token
        yield from token.children or ()


def acting(text, *, ours=()):
    """Return what of `text`, rendered as Markdown, is not plain text, code or a link in `ours`."""
    found = [f"obeyed: {character!r}" for character in obeyed(text)]
    in_link = False
    for token in tokens(text):
        if token.type in {"link_open", "link_close"}:
            in_link = token.type == "link_open"
            if in_link and token.attrs["href"] not in ours:
                found.append(f"link: {token.attrs['href']}")
        elif token.type in {"image", "s_open", "blockquote_open", "ordered_list_open", "hr"}:
            found.append(f"{token.type}: {token.content}")
        elif token.type in {"html_block", "html_inline"} and OUR_HTML.sub("", token.content):
            found.append(f"HTML: {token.content}")
        elif token.type == "html_block" and GITHUB_LINKS.search(
            re.sub("<code>.*?</code>", "", token.content)
        ):
            found.append(f"GitHub links in HTML: {token.content}")
        elif token.type == "text" and not in_link and GITHUB_LINKS.search(token.content):
            found.append(f"GitHub links: {token.content}")
    return found


def shape(text):
    """Return the blocks that `text` is made of, with how often each is there."""
    kinds = [token.type for token in tokens(text) if token.type not in {"text", "code_inline"}]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def result_of(foreign):
    """Return a result with `foreign` in every field that others can write into."""
    hop = Hop(HopId.ROUTE, foreign, HopState.BROKEN, foreign, foreign, foreign)
    diagnosis = Diagnosis(
        Cause.NO_ROUTE_TO_SERVICE_NETWORK,
        Confidence.HIGH,
        (hop, dataclasses.replace(hop, state=HopState.HOLDS)),
        (foreign, foreign),
        ruled_out=(foreign,),
        not_seen=(foreign,),
        remedies=(foreign, foreign),
        link=foreign,
        check_again=foreign,
        look_again=foreign,
    )
    verdict = ExpectationResult(
        "pods", "pods", foreign, foreign, Verdict.NOT_MET, foreign, seconds=1.0
    )
    phase = PhaseResult(
        foreign,
        preconditions=(Precondition(PreconditionId.CONFIG, foreign, holds=None, text=foreign),),
        verdicts=(verdict, verdict),
        diagnosis=diagnosis,
        changes=(AppliedChange(foreign, 1.0),),
        skipped=(foreign,),
    )
    used = ArtifactUsed(foreign, foreign, foreign, foreign, "own-build", foreign)
    return ScenarioResult(
        run_id=foreign,
        scenario=foreign,
        title=foreign,
        outcome=Outcome.NOT_MET,
        started=foreign,
        ended=foreign,
        folder=Path(foreign.replace("\0", "") or "x"),
        references=(foreign,),
        phases=(phase,),
        not_entered=(foreign,),
        substrate=foreign,
        seed=foreign,
        provider=foreign,
        provider_reason=foreign,
        versions={foreign: foreign},
        artifacts=(used,),
        settings={"k0s_binary": SettingUsed(foreign, "K0S_BINARY")},
        leftovers=(foreign,),
        error=foreign,
    )


def summary_of(foreign):
    return summary.render(result_of(foreign))


def nightly_of(foreign):
    return nightly.job_summary([foreign, f"{foreign} missing"], [result_of(foreign)])


(LOADED,) = load_all(PROJECT / "scenarios/konnectivity-on.yaml")


def catalogue_of(foreign):
    scenario = SimpleNamespace(name="x", title=foreign)
    loaded = SimpleNamespace(scenario=scenario, path=LOADED.path)
    used = {foreign: {"sha256": foreign, "origin": foreign}}
    run = catalogue.CataloguedRun(foreign, foreign, foreign, 1.0, foreign, foreign, used, foreign)
    return catalogue.render([loaded], {"x": [run]})


RENDERED = {
    "the summary": summary_of,
    "the nightly": nightly_of,
    "the catalogue": catalogue_of,
}
OURS = {"the catalogue": ["../scenarios/konnectivity-on.yaml", "log/"]}


@pytest.mark.parametrize("page", RENDERED)
@settings(max_examples=examples(5), deadline=None)
@given(foreign=acting_text)
def test_nothing_that_others_wrote_acts_in_a_report(page, foreign):
    assert acting(RENDERED[page](foreign), ours=OURS.get(page, [foreign])) == []


@pytest.mark.parametrize("page", RENDERED)
@settings(max_examples=examples(5), deadline=None)
@given(foreign=acting_text.filter(str.split))
def test_nothing_that_others_wrote_changes_the_blocks_of_a_report(page, foreign):
    # As many lines: a remedy has an entry a line.
    plain = re.sub(r"[^\n]+", "word", foreign.strip())
    wanted, found = (shape(RENDERED[page](text)) for text in (plain, foreign))
    for kind in ("table_open", "tr_open", "td_open", "heading_open", "html_block", "fence"):
        assert found.get(kind) == wanted.get(kind), kind


@pytest.mark.parametrize("foreign", [*ACTING, HOSTILE])
@pytest.mark.parametrize("page", RENDERED)
def test_each_kind_is_inert_alone(page, foreign):
    assert acting(RENDERED[page](foreign), ours=OURS.get(page, [foreign])) == []


def test_the_check_sees_what_acts():
    assert acting("![x](https://evil.example/x.png)")
    assert acting("hello @someone")
    assert acting("<b>x</b>")
    assert acting("- 1. x")


@settings(max_examples=examples(12), deadline=None)
@given(acting_text)
def test_a_word_or_a_cell_or_code_is_one_line_that_says_what_was_there(text):
    for made in (markdown.prose, markdown.cell, markdown.code, markdown.code_cell):
        assert "\n" not in made(text)
    for made in (markdown.cell, markdown.code_cell):
        assert acting(f"| a |\n|---|\n| {made(text)} |\n") == []
    assert acting(markdown.prose(text)) == []
    assert acting(f"- {markdown.prose(text)}\n- {markdown.code(text)}") == []


@settings(max_examples=examples(12), deadline=None)
@given(acting_text)
def test_a_block_ends_where_we_end_it(text):
    rendered = RENDERER.parse(f"{markdown.block(text)}\n\nafter\n")
    assert [token.type for token in rendered if token.level == 0] == [
        "fence",
        "paragraph_open",
        "paragraph_close",
    ]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("dial tcp 10.0.0.1:443: i/o timeout", "dial tcp 10.0.0.1:443: i/o timeout"),
        ("top_nodes <unknown>", "top_nodes &lt;unknown>"),
        ("a | b", "a \\| b"),
        ("ask ann@x.example!", "ask `ann@x.example!`"),
        ("10.0.0.1 is dead", "10.0.0.1 is dead"),
        ("1. is a list", "1\\. is a list"),
        ("Größe “ż”", "Größe “ż”"),
    ],
)
def test_ordinary_text_stays_easy_to_read(text, made):
    assert markdown.prose(text) == made


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "https://github.com@evil.example/",
        "https://x.example/)![x](y)",
        "https://x.example/<b>",
        "https://x.example/\u202egpj",
        "https://",
        "http://[::1",
        "https://x.example/ y",
        "ftp://x.example/",
        "//x.example",
    ],
)
def test_what_is_no_plain_web_address_leads_nowhere(address):
    assert acting(f"- {markdown.link(address)}") == []


@pytest.mark.parametrize(
    "address",
    ["https://github.com/k0sproject/k0s/issues/5781", "http://x.example:8080/a?b=c&d=e#f-1"],
)
def test_a_web_address_is_a_link_that_is_seen_as_it_is(address):
    (opening,) = [each for each in tokens(markdown.link(address)) if each.type == "link_open"]
    assert opening.attrs["href"] == address
    assert address in markdown.link(address)


def test_a_secret_is_gone_before_marks_could_split_it():
    for page, render in RENDERED.items():
        assert "hunter2" not in render("password=*hunter2*hunter2|hunter2`@hunter2"), page
