"""The JSON Schema that editors read says what the model says."""

from __future__ import annotations

import functools
from typing import Any

import jsonschema
import pytest
import yaml

from harness.scenario.load import files_in, load_all_text
from harness.scenario.mistakes import ScenarioError
from harness.scenario.schema import json_schema, schema_text
from harness.vocabulary.words import Component
from tests.unit.paths import PROJECT

HEAD = {"format": "k0s-harness/1", "name": "x", "title": "X"}
PODS: dict[str, Any] = {"pods": {"selector": "a=b", "ready": 1}}


def scenario(expect: Any, **more: Any) -> dict[str, Any]:
    return {**HEAD, "phases": [{"name": "p", "expect": expect}], **more}


def changed(*changes: Any) -> dict[str, Any]:
    return {**HEAD, "phases": [{"name": "p", "change": list(changes), "expect": [PODS]}]}


@functools.cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema())


def test_the_committed_schema_is_the_generated_one():
    assert (PROJECT / "schema/scenario.schema.json").read_text("utf-8") == schema_text()


def test_the_schema_is_a_schema_of_the_dialect_it_names():
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_every_scenario_of_the_repository_fits_the_schema():
    files = files_in(PROJECT / "scenarios")
    assert files
    for path in files:
        validator().validate(yaml.safe_load(path.read_text("utf-8")))


@pytest.mark.parametrize(
    "data",
    [
        scenario([PODS]),
        scenario([{"pods": {**PODS["pods"], "within": "1m30s", "when": "k0s >= 1.35.1"}}]),
        scenario([PODS], cluster={"workers": 3, "k0s": {"spec": {"anything": [1, None]}}}),
        scenario([PODS], cluster={"version": "v1.35.1+k0s.0"}),
        scenario([]),
        scenario([{"pod": PODS["pods"]}]),
        scenario([{**PODS, "diagnosis": {"cause": "healthy"}}]),
        scenario([{"pods": {**PODS["pods"], "within": 45}}]),
        scenario([{"pods": {**PODS["pods"], "within": None}}]),
        scenario([{"diagnosis": {"cause": "no-route"}}]),
        scenario([{"diagnosis": {"cause": "healthy", "hold": "45s"}}]),
        scenario([{"apiservice": {"name": "v1", "available": "off"}}]),
        scenario([PODS], cluster={"workers": 6}),
        scenario([PODS], cluster={"disable_components": ["konnectivity"]}),
        scenario([PODS], cluster={"version": "1.32"}),
        scenario([PODS], titel="X"),
        {**HEAD, "name": "X Y"},
        changed({"route": {"machine": "controller0", "to": "pod-network", "via": "worker0"}}),
        changed({"route": {"machine": "controller0", "to": "10.96.0.0/12", "via": "worker0"}}),
        changed({"route": {"machine": "controller0", "to": "10.96.0.0/33", "via": "worker0"}}),
        changed({"route": {"machine": "controller0", "to": "pod-network"}}),
        changed({"node_ip": {"machine": "worker0", "address": "nat"}}),
        changed({"node_ip": {"machine": "worker0", "address": "10.0.2.15"}}),
        changed({"mtu": {"machine": "worker0", "interface": "eth1", "size": 100}}),
        changed({"manifest": []}),
        changed({"manifest": "kind: Pod"}),
        changed({"k0s_config": {}}),
        changed({"environment": {"machine": "worker0", "variables": {"A": 1}}}),
        changed({"firewall": {"machine": "worker0", "hook": "in", "answer": "drop"}}),
        scenario([{"flows": {"cells": {"pod-to-node": "works"}}}]),
        scenario([{"flows": {"cells": {"pod-to-nod": "works"}}}]),
        scenario([{"flows": {"cells": {"pod-to-node": "work"}}}]),
        scenario([{"flows": {"cells": {}}}]),
        scenario([{"reachability": {"whole": True}}]),
        scenario([{"reachability": {"whole": True, "hold": "45s"}}]),
        scenario([{"diagnosis": {"cause": "unknown", "also": ["tunnel-down"]}}]),
        scenario([{"diagnosis": {"cause": "unknown", "also": []}}]),
        scenario([PODS], cluster={"controller_role": "controller+worker"}),
        scenario([PODS], cluster={"controller_role": "worker"}),
        scenario([PODS], cluster={"workers": "${n}"}, matrix={"n": [1, 2]}),
        scenario([PODS], cluster={"version": "${v}"}, matrix={"v": ["v1.32.3+k0s.0"]}),
        scenario([PODS], cluster={"workers": "${n}"}, matrix={"n": []}),
        scenario([PODS], cluster={"workers": "${n}"}, matrix={"n": [[1]]}),
        scenario([PODS], cluster={"workers": "${n}"}, matrix={"n": [1], "N": [1]}),
        scenario([PODS], matrix={}),
    ],
)
def test_the_schema_and_the_loader_take_and_refuse_the_same(data):
    """Rules between parts of a file are the loader's alone; what a key may hold is both's."""
    fits = validator().is_valid(data)
    try:
        load_all_text(yaml.safe_dump(data), "s.yaml")
        loads = True
    except ScenarioError:
        loads = False
    assert fits == loads


def test_every_key_has_a_description():
    undescribed = []

    def walk(schema: Any, path: str) -> None:
        if isinstance(schema, list):
            for item in schema:
                walk(item, path)
        elif isinstance(schema, dict):
            for key, value in schema.get("properties", {}).items():
                if "description" not in value:
                    undescribed.append(f"{path}.{key}")
            for key, value in schema.items():
                walk(value, f"{path}.{key}")

    walk(json_schema(), "")
    assert undescribed == []


def test_editors_can_offer_every_component():
    offered = json_schema()["$defs"]["ClusterSpec"]["properties"]["disable_components"]
    component, matrix_input = offered["items"]["anyOf"]
    assert set(component["enum"]) == set(Component)
    assert matrix_input == {"$ref": "#/$defs/Input"}
    assert len(set(Component)) == 17


def test_defaults_are_shown_as_a_scenario_writes_them():
    text = schema_text()
    assert '"default": "45s"' in text
    assert '"default": "v1.32.3+k0s.0"' in text
    assert '"default": null' not in text
