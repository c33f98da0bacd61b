"""What docs/extending.md tells people to write is what works."""

from __future__ import annotations

import re

import pytest

from harness import cni
from harness.changes import CHANGES
from harness.diagnose.causes import KINDS
from harness.expectations import EXPECTATIONS
from harness.probe import registry as probes
from harness.providers import registry as providers
from harness.vocabulary.words import CAUSES
from tests.unit.docs.pages import blocks
from tests.unit.paths import PROJECT

PAGE = PROJECT / "docs/extending.md"
BLOCKS = [each for each in blocks("python") if each.page == PAGE]


@pytest.fixture
def registries_put_back(monkeypatch):
    """Every list that a block adds to is afterwards as it was before."""
    lists = [(each, list(each)) for each in (probes.PROBES, KINDS, CAUSES, cni.CNIS)]
    monkeypatch.setattr(providers, "PROVIDERS", dict(providers.PROVIDERS))
    for kinds in (CHANGES, EXPECTATIONS):
        monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))
    yield
    for kept, before in lists:
        kept[:] = before
    for kinds in (CHANGES, EXPECTATIONS):
        # Whoever made a union of the kinds is to make it again.
        kinds.edition += 1


def test_every_section_has_a_block():
    sections = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert len(sections) == 6
    assert [section.partition("\n")[0] for section in sections if "```python" not in section] == []


def test_the_blocks_run_in_their_order(registries_put_back, monkeypatch):
    monkeypatch.chdir(PROJECT)
    names: dict[str, object] = {"__name__": "extending"}
    for block in BLOCKS:
        exec(compile(block.text, str(block), "exec"), names)  # noqa: S102
