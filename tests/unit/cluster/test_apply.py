"""What k0sctl is given for the first apply of a cluster, and for the later ones."""

from ipaddress import IPv4Network
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from harness.artifacts.model import ArtifactKind
from harness.artifacts.pins import load_pins
from harness.cluster.cluster import Cluster
from harness.plan.build import build
from harness.providers.registry import provider
from harness.scenario.load import load_text
from tests.unit.paths import SCENARIOS

SCENARIO = SCENARIOS / "konnectivity-off.yaml"


@pytest.fixture
def plan():
    return build(
        load_text(SCENARIO.read_text(), str(SCENARIO)),
        subnet=IPv4Network("172.31.77.0/24"),
        provider=provider("docker"),
        pins=load_pins(),
        arch="amd64",
    )


def drop_ins(plan, tmp_path, *, deployed):
    endpoint = SimpleNamespace(address="172.31.77.10", port=22, user="vagrant", key_path="/key")
    machine = SimpleNamespace(endpoint=endpoint, nat_address="172.31.78.10")
    lab = SimpleNamespace(
        folder=tmp_path,
        machines={each.name: machine for each in plan.machines},
        own_kernel=False,
        pace=1.0,
        seed=None,
    )
    artifacts = {kind: SimpleNamespace(path=Path("/cache") / kind.value) for kind in ArtifactKind}
    cluster = Cluster(lab, plan, artifacts, folder=tmp_path, runner=None, deployed=deployed)
    hosts = yaml.safe_load(cluster.render(plan.phases[1].deployment))["spec"]["hosts"]
    return [
        file["dst"]
        for host in hosts
        for file in host.get("files", ())
        if "containerd" in file["name"]
    ]


def test_containerd_gets_its_drop_in_with_the_first_apply_and_is_left_alone_by_later_ones(
    plan, tmp_path
):
    # Written again, it makes k0s restart containerd, and metrics-server lose what it serves.
    assert drop_ins(plan, tmp_path, deployed=None) == [
        "/etc/k0s/containerd.d/restrict-oom-score.toml"
    ] * len(plan.workers)
    assert drop_ins(plan, tmp_path, deployed=plan.start) == []
