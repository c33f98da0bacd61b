"""What is read of a k0sctl.yaml is what a real k0sctl reads of it: files by chance, both asked."""

import os
import re

import pytest

from harness.base.errors import UsageError
from harness.cluster.existing import read_cluster
from tests.unit import k0sctl_files, real_k0sctl
from tests.unit.fuzz import examples

PROGRAM = real_k0sctl.find()
pytestmark = [
    pytest.mark.fuzz,
    pytest.mark.skipif(PROGRAM is None, reason="there is no k0sctl on this host"),
]
SEEDS = range(1, examples(12) + 1)
# What is refused on purpose though k0sctl reads it, by the words of the refusal.
STRICTER = {
    "is no host name and no IP address": "ssh is given no word that is not one",
    "is no name of a user": "ssh is given no word that is not one",
    "which a shell or ssh would replace": "a variable in UTF-16, where k0sctl finds none",
    "is no port from 1 to 65535": "k0sctl takes any port of an only host, and cannot dial it",
    "has no `address`": "k0sctl takes none of an only host, and cannot dial it",
    "has one way in, and this one has": "k0sctl refuses it since v0.32",
    "has neither ssh nor openSSH": "k0sctl before v0.32 took this machine for it",
    "no host in it runs a control plane that can be looked at": "there is nowhere to look from",
    "is an option of ssh without a value": "k0sctl gives ssh the word <nil>",
}
# What is read though this k0sctl refuses it, by its words: another version takes it.
OTHER_VERSIONS = {
    "field hostKey not found": "k0sctl knew it up to v0.31",
    "field options not found in type rig.SSH": "k0sctl knows it since v0.32",
    "failed on the 'hostname_rfc1123|ip' tag": "k0sctl takes any address since v0.32",
}


@pytest.fixture(scope="module")
def k0sctl(tmp_path_factory):
    return real_k0sctl.RealK0sctl(PROGRAM, tmp_path_factory.mktemp("k0sctl"))


def reading(path, environ):
    """What the harness reads: each host with its role, user, port, key and data folder."""
    found = read_cluster(path, environ, agree=lambda _: None)
    hosts = []
    for host in found.hosts:
        if host.is_here:
            hosts.append(("localhost", "", "", "", host.role, host.data_dir))
            continue
        *options, destination = host.ssh
        given = dict(zip(options[::2], options[1::2], strict=True))
        user, _, address = destination.rpartition("@")
        port, key = given.get("-p", ""), given.get("-i", "")
        hosts.append((address, user, port, key, host.role, host.data_dir))
    return sorted(hosts), sorted(each.name for each in found.left_out)


def real_reading(answer):
    """The same of what k0sctl says, with what it leaves to ssh left out."""
    hosts, left_out = [], []
    for host in answer.hosts:
        (kind,) = [kind for kind in ("ssh", "openSSH", "winRM", "localhost") if kind in host]
        way = {} if kind == "localhost" else host[kind]
        way = {name: value for name, value in way.items() if value != "null"}
        address, port = way.get("address", "localhost"), way.get("port", "")
        bracketed = f"[{address}]" if ":" in address and address[0] != "[" else address
        data_dir = (host.get("dataDir") or "/var/lib/k0s").rstrip("/")
        if host.get("reset") == "true" or kind == "winRM" or not host["role"] or "[" in address:
            left_out.append(f"{bracketed or 'localhost'}:{port or 22}")
            continue
        key = os.path.expanduser(way.get("keyPath", ""))  # noqa: PTH111
        hosts.append((address, way.get("user", ""), port, key, host["role"], data_dir))
    return sorted(hosts), sorted(left_out)


def normal(reading):
    """A port that is not given is ssh's own; k0sctl says 22 of the kind ssh.

    Which port WinRM has with HTTPS k0sctl v0.32 says only when it connects.
    """
    hosts, left_out = reading
    hosts = [(a, u, p if p != "22" else "", k, r, d) for a, u, p, k, r, d in hosts]
    return hosts, [re.sub(r":598[56]\Z", "", each) for each in left_out]


def compare(k0sctl, path):
    """Return what differs, as a sentence, or nothing."""
    answer = k0sctl.read(path, **k0sctl_files.VARIABLES)
    environ = k0sctl.environ(**k0sctl_files.VARIABLES)
    try:
        ours = reading(path, environ)
    except UsageError as error:
        said = error.text()
        if answer.cluster is None or any(words in said for words in STRICTER):
            return ""
        return f"k0sctl reads it: {real_reading(answer)}, and the harness refuses: {said}"
    if answer.cluster is None:
        if any(words in answer.error for words in OTHER_VERSIONS):
            return ""
        return f"k0sctl refuses it: {answer.error}, and the harness reads: {ours}"
    theirs = real_reading(answer)
    return "" if normal(ours) == normal(theirs) else f"k0sctl reads {theirs}, the harness {ours}"


def test_a_made_file_is_read_as_k0sctl_reads_it_or_refused_as_k0sctl_refuses_it(
    k0sctl, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(k0sctl.home))
    version = k0sctl.version()
    differ = []
    for seed in SEEDS:
        path = tmp_path / f"{seed}.yaml"
        path.write_bytes(k0sctl_files.make(seed, version))
        found = compare(k0sctl, path)
        if found:
            differ.append(f"seed {seed}: {found}")
    assert not differ, "\n".join(differ[:10])
