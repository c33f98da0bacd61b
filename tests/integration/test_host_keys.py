from __future__ import annotations

import subprocess

import pytest

from harness.ssh.client import HostKeyError, ParamikoRemote

pytestmark = pytest.mark.machines


@pytest.fixture
def exchanged(lab, tmp_path):
    """known_hosts with the keys of controller0 and worker0 exchanged: both are other machines'."""
    lines = lab.known_hosts.read_text().splitlines()
    by_name = {line.split(",")[0]: line.split(" ", 1) for line in lines}
    first, second = by_name["controller0"], by_name["worker0"]
    path = tmp_path / "known_hosts"
    path.write_text(f"{first[0]} {second[1]}\n{second[0]} {first[1]}\n")
    return path


def test_the_pinned_key_is_the_one_inside_the_machine(lab):
    for name in lab.machines:
        inside = (
            lab.remote(name)
            .run(["cat", "/etc/ssh/ssh_host_ed25519_key.pub"], doing="Reading", deadline=10)
            .stdout.split()[:2]
        )
        pinned = next(
            line.split()[1:]
            for line in lab.known_hosts.read_text().splitlines()
            if line.startswith(f"{name},")
        )
        assert pinned == inside


def test_paramiko_refuses_a_changed_host_key(lab, exchanged):
    machine = lab.machines["controller0"]
    remote = ParamikoRemote("controller0", machine.endpoint, exchanged)
    with pytest.raises(HostKeyError, match="shows another host key"):
        remote.run(["true"], doing="Looking", deadline=10)


def test_paramiko_refuses_a_machine_without_a_pinned_key(lab, tmp_path):
    empty = tmp_path / "known_hosts"
    empty.touch()
    remote = ParamikoRemote("controller0", lab.machines["controller0"].endpoint, empty)
    with pytest.raises(Exception, match="not found in known_hosts"):
        remote.run(["true"], doing="Looking", deadline=10)


def test_openssh_refuses_a_changed_host_key(lab, exchanged):
    def ssh(known_hosts):
        return subprocess.run(
            [
                "ssh",
                "-F",
                str(lab.ssh_config),
                "-o",
                f"UserKnownHostsFile={known_hosts}",
                "-o",
                "ControlPath=none",
                "controller0",
                "hostname",
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    assert ssh(lab.known_hosts).stdout == "controller0\n"
    refused = ssh(exchanged)
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr


def test_keys_and_state_are_for_their_owner_only(lab):
    assert lab.folder.stat().st_mode & 0o777 == 0o700
    assert (lab.folder / "id").stat().st_mode & 0o777 == 0o600
