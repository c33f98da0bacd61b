"""Nodes whose pods have no figures: `kubectl top nodes` is complete, `kubectl top pods` is not."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from harness.diagnose.judge import diagnose
from harness.diagnose.model import Confidence, HopId, HopState
from harness.vocabulary.words import Cause

LISTS = {"pod_metrics", "node_pods"}
STARTED = re.compile(r'"startedAt":"[^"]+"')


@pytest.fixture
def empty(recording):
    """A cluster in which no pod has figures, and every node has."""
    return recording("diagnosis/pods-without-figures/1")


def with_words(walk, probe, words):
    """The walk with other words in one look."""
    return [replace(each, stdout=words) if each.probe == probe else each for each in walk]


def test_pods_without_figures_are_named_by_their_nodes(empty):
    found = diagnose(empty)
    (figures,) = [hop for hop in found.hops if hop.id is HopId.DATA]
    assert figures.state is HopState.BROKEN
    assert figures.text.startswith("fresh figures of all 2 nodes, and none of konnectivity-agent-")
    assert "see what the kubelet of worker0, worker1 says of pods" in (found.remedy or "")
    assert not any("8132" in each or "firewall" in each for each in found.remedies)


def test_one_node_whose_pods_have_no_figures_is_enough(recording):
    found = diagnose(recording("diagnosis/pods-without-figures/2"))
    assert "see what the kubelet of worker1 says of pods" in (found.remedy or "")


def test_a_kubelet_that_has_just_started_need_not_know_its_pods_yet(empty):
    found = diagnose(with_words(empty, "kubelet_process", "     20\n"))
    assert found.cause is Cause.SETTLING


@pytest.mark.parametrize("one", sorted(LISTS))
def test_with_one_of_the_lists_alone_nothing_is_said_to_be_healthy(empty, one):
    found = diagnose(each for each in empty if each.probe not in LISTS - {one})
    assert (found.cause, found.confidence) == (Cause.UNKNOWN, Confidence.LOW)


def test_a_walk_that_has_neither_list_is_judged_as_it_was_before_they_were_asked_for(empty):
    found = diagnose(each for each in empty if each.probe not in LISTS)
    assert (found.cause, found.confidence) == (Cause.HEALTHY, Confidence.HIGH)


def test_pods_that_began_lately_are_not_expected_to_have_figures(empty):
    began = [
        replace(each, stdout=STARTED.sub(f'"startedAt":"{each.at[:19]}Z"', each.stdout))
        if each.probe == "node_pods"
        else each
        for each in empty
    ]
    assert began != list(empty)
    assert diagnose(began).cause is Cause.HEALTHY
