"""Kinds of expectation, one module each: its model and rules, its words, and how it judges.

A kind is added by its module and its line here.
"""

from __future__ import annotations

from harness.expectations.apiservice import Apiservice
from harness.expectations.apply import Apply
from harness.expectations.diagnosis import Diagnosis
from harness.expectations.flows import Flows
from harness.expectations.kind import Expectation
from harness.expectations.pods import Pods
from harness.expectations.reachability import Reachability
from harness.expectations.top_nodes import TopNodes
from harness.vocabulary.kinds import Registry

EXPECTATIONS: Registry[Expectation] = Registry(
    "expectation", Apiservice, TopNodes, Pods, Diagnosis, Flows, Reachability, Apply
)
"""Every kind, in the order of the documentation."""
