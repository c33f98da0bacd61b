"""k0s releases order as k0s publishes them, and gates hold for the releases they say."""

from __future__ import annotations

import itertools

import pytest

from harness.vocabulary.version import Gate, K0sVersion


def test_releases_order_by_kubernetes_then_pre_release_then_build():
    ordered = [
        "v1.9.0+k0s.0",
        "v1.32.3+k0s.0",
        "v1.32.3+k0s.1",
        "v1.32.13+k0s.0",
        "v1.35.1-alpha.2+k0s.0",
        "v1.35.1-rc.1+k0s.0",
        "v1.35.1-rc.2+k0s.0",
        "v1.35.1-rc.10+k0s.0",
        "v1.35.1+k0s.0",
        "v1.35.1+k0s.10",
    ]
    versions = [K0sVersion.parse(text) for text in ordered]
    assert all(left < right for left, right in itertools.pairwise(versions))
    assert not any(left >= right for left, right in itertools.pairwise(versions))


@pytest.mark.parametrize("text", ["v1.32.3+k0s.0", "v1.35.0-rc.1+k0s.2"])
def test_a_release_reads_back_as_it_was_written(text):
    assert str(K0sVersion.parse(text)) == text


def test_the_leading_v_may_be_left_out():
    assert K0sVersion.parse("1.32.3+k0s.0") == K0sVersion.parse("v1.32.3+k0s.0")


@pytest.mark.parametrize(
    "text", ["", "v1.32", "v1.32.3", "v1.32.3+k3s1", "latest", "v1.32.3+k0s.0 ", "v٣.1.1+k0s.0"]
)
def test_what_is_not_a_release_in_full_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"write it in full, as in v1\.32\.3\+k0s\.0"):
        K0sVersion.parse(text)


@pytest.mark.parametrize(
    ("gate", "version", "holds"),
    [
        ("k0s >= 1.35.1", "v1.35.1+k0s.0", True),
        ("k0s >= 1.35.1", "v1.35.0+k0s.3", False),
        ("k0s >= 1.35.1", "v1.35.1-rc.1+k0s.0", False),
        ("k0s >= v1.35", "v1.35.0+k0s.0", True),
        ("k0s<1.35", "v1.34.10+k0s.0", True),
        ("k0s <= 1.32.3", "v1.32.3+k0s.5", True),
        ("k0s == 1.32.3", "v1.32.3+k0s.1", True),
        ("k0s == 1.32.3+k0s.0", "v1.32.3+k0s.1", False),
        ("k0s > 1.32.3+k0s.0", "v1.32.3+k0s.1", True),
        ("k0s > 1.32.3", "v1.32.3+k0s.1", False),
        ("k0s != 1.32.3", "v1.32.4+k0s.0", True),
        ("k0s >= 1.33 and k0s < 1.35.1", "v1.34.1+k0s.0", True),
        ("k0s >= 1.33 and k0s < 1.35.1", "v1.35.1+k0s.0", False),
        ("k0s >= 1.33 and k0s < 1.35.1", "v1.32.3+k0s.0", False),
    ],
)
def test_a_gate_holds_for_the_releases_it_names(gate, version, holds):
    assert Gate.parse(gate).holds(K0sVersion.parse(version)) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.35.1",
        "k0s",
        "k0s => 1.35",
        "k0s >= ",
        "k0s >= x",
        "k8s >= 1.35",
        "k0s > 1 or k0s < 2",
    ],
)
def test_what_is_no_condition_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"write it as in k0s >= 1\.35\.1"):
        Gate.parse(text)
