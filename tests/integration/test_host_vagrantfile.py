"""Vagrant itself accepts the one Vagrantfile, for each of the providers it has a block for."""

import shutil

import pytest

from harness.lab.topology import ALWAYS_DROPPED
from harness.lab.topology import MachineSpec
from harness.lab.topology import Network
from harness.lab.topology import Networks
from harness.lab.topology import box_of
from harness.lab.topology import topology
from harness.lab.vagrant import environment
from harness.lab.vagrant import topology_path
from harness.process import LocalRunner
from harness.scenario.words import Role
from harness.settings import ProviderName


@pytest.mark.skipif(shutil.which("vagrant") is None, reason="there is no Vagrant on this host")
@pytest.mark.parametrize("provider", ProviderName)
def test_vagrant_accepts_the_vagrantfile(tmp_path, provider):
    machines = [
        MachineSpec("controller0", Role.CONTROLLER, "10.77.1.10"),
        MachineSpec("worker0", Role.WORKER, "10.77.1.11"),
    ]
    networks = Networks(
        nat=Network("k0s-test-nat", "k0stest0", "10.77.0.0/24"),
        private=Network("k0s-test-private", "k0stest1", "10.77.1.0/24"),
    )
    key = tmp_path / "key"
    key.touch()
    topology_path(tmp_path).write_text(
        topology(
            run_id="k0s-test",
            provider=provider,
            machines=machines,
            networks=networks,
            labels={},
            image="k0s-harness/node:none",
            box=None if provider is ProviderName.DOCKER else box_of(provider),
            key=key,
            public_key="ssh-ed25519 none",
            dropped=ALWAYS_DROPPED,
        )
    )
    # Only docker is on every host that runs labs; the others' plugins may not be.
    ignore = [] if provider is ProviderName.DOCKER else ["--ignore-provider"]
    completed = LocalRunner().run(
        ["vagrant", "validate", *ignore],
        doing="Validating the Vagrantfile",
        deadline=60,
        env={
            **environment(tmp_path, provider),
            "VAGRANT_DEFAULT_PROVIDER": provider.value,
        },
        check=False,
    )
    if f"provider '{provider}' could not be found" in completed.stderr:
        pytest.skip(f"Vagrant on this host has no plugin for {provider}")
    assert completed.ok, completed.stderr
    assert "validated successfully" in completed.stdout
