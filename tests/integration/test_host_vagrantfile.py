"""Vagrant itself accepts the one Vagrantfile, for each of the providers it has a block for."""

import shutil
from datetime import UTC, datetime
from ipaddress import IPv4Network

import pytest

from harness.base.process import LocalRunner
from harness.base.run_id import RunId
from harness.providers.docker.machines import ALWAYS_DROPPED, volume_labels
from harness.providers.registry import names
from harness.providers.topology import MachineSpec, topology
from harness.providers.vagrant import environment, topology_path
from harness.state.records import make_record
from harness.vocabulary.words import Role

BOX = {"box": "k0s-harness/none", "box_version": "0.1", "box_url": "file:///none/catalog.json"}
DOMAIN = {
    "uuid": "02305864-fed3-5d6d-8d6e-82986daf76a0",
    "nat_mac": "52:54:00:00:00:01",
    "private_mac": "52:54:00:00:00:02",
    "console": "/none/console",
}
OF_PROVIDER = {
    "docker": {
        "image": "k0s-harness/node:none",
        "drop_capabilities": list(ALWAYS_DROPPED),
        "labels": {"of": "a test"},
        "volume_labels": volume_labels({"of": "a test"}),
    },
    "libvirt": {
        **BOX,
        "driver": "qemu",
        "pool": "default",
        "uri": "qemu:///system",
        "domains": {"controller0": DOMAIN, "worker0": DOMAIN},
    },
    "virtualbox": BOX,
}


@pytest.mark.skipif(shutil.which("vagrant") is None, reason="there is no Vagrant on this host")
@pytest.mark.parametrize("provider", names())
def test_vagrant_accepts_the_vagrantfile(tmp_path, provider):
    machines = [
        MachineSpec("controller0", Role.CONTROLLER, "10.77.1.10"),
        MachineSpec("worker0", Role.WORKER, "10.77.1.11"),
    ]
    record = make_record(
        run_id=RunId("k5-000000"),
        scenario="a test",
        provider=provider,
        labs_dir=tmp_path,
        machines=(),
        private=IPv4Network("10.77.1.0/24"),
        nat=IPv4Network("10.77.0.0/24"),
        created=datetime.now(UTC),
    )
    record.folder.mkdir()
    record.key.touch()
    topology_path(tmp_path).write_text(
        topology(
            record,
            machines,
            public_key="ssh-ed25519 none",
            boot_seconds=120,
            of_provider=OF_PROVIDER[provider],
        )
    )
    completed = LocalRunner().run(
        ["vagrant", "validate", "--ignore-provider"],
        doing="Validating the Vagrantfile",
        deadline=60,
        env={
            **environment(tmp_path),
            "VAGRANT_DEFAULT_PROVIDER": provider,
        },
        check=False,
    )
    if f"provider '{provider}' could not be found" in completed.stderr:
        pytest.skip(f"Vagrant on this host has no plugin for {provider}")
    assert completed.ok, completed.stderr
    assert "validated successfully" in completed.stdout
