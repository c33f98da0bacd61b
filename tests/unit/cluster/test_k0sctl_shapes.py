"""Shapes of k0sctl.yaml files that people really have: the right reading, or the right sentence.

Hosts, users and keys in them are invented; the shapes are not.
"""

import re

import pytest

from harness.base.errors import UsageError
from harness.cluster.existing import read_cluster
from tests.unit import real_k0sctl
from tests.unit.paths import UNIT

FOLDER = UNIT / "k0sctl"
HOME = "/home/op"
ON, OFF = True, False
# For each file: how each host is reached that is looked at, controllers first; konnectivity; what
# is said of the others.
READINGS = {
    "rendered-by-a-program": (
        [
            "ubuntu@203.0.113.11 -i ./cluster_private.pem",
            "ubuntu@203.0.113.12 -i ./cluster_private.pem",
            "ubuntu@203.0.113.13 -i ./cluster_private.pem",
        ],
        ON,
    ),
    "ha-with-load-balancers": (
        [
            f"vagrant@192.168.56.{host} -p 22"
            f" -i /home/op/lab/.vagrant/machines/{name}/virtualbox/private_key"
            for host, name in [
                *((11, "cp-1"), (12, "cp-2"), (13, "cp-3"), (21, "w-1"), (22, "w-2")),
            ]
        ],
        ON,
    ),
    "forwarded-ports": (
        [f"player@127.0.0.1 -p {port} -i ./dev/fake_key" for port in (2401, 2402, 2411, 2412)],
        ON,
    ),
    "chained-bastions": (
        [
            f"ubuntu@10.17.3.{host} -p 22 -i ./ssh-keys/id_ed25519"
            " via gate@192.0.2.119 via outer@198.51.100.9"
            for host in (10, 11, 20)
        ],
        ON,
    ),
    "variables-with-defaults": (
        [
            "ops@10.30.0.11 -p 2222 -i /home/op/.ssh/id_ed25519",
            "ops@10.30.0.21 -p 2222 -i /home/op/.ssh/id_rsa",
        ],
        ON,
    ),
    "reset": (
        [f"root@10.40.0.{host} -i /home/op/.ssh/id_rsa" for host in (12, 13, 21)],
        ON,
        ["7:7: 10.40.0.11:22 is left out: `reset: true`", "16:7: 10.40.0.22:22 is left out"],
    ),
    "localhost": (["here", "debian@192.168.77.21 -i /home/op/.ssh/id_ed25519"], ON),
    "winrm": (
        [f"ubuntu@10.50.0.{host} -p 22 -i ./ssh-keys/mixed.pem" for host in (11, 21)],
        ON,
        ["19:7: win-1.example.net:5986 is left out: it is reached by WinRM"],
    ),
    "by-flags": (["bb@10.60.0.11", "bb@10.60.0.21"], OFF),
    "three-documents": (["root@10.70.0.11", "root@10.70.0.21"], ON),
    "tabs-and-nulls-json": (["ec2-user@10.100.0.11 -p 22", "ec2-user@10.100.0.21 -p 22"], OFF),
    "utf-16": (["root@10.0.0.1 -p 22", "root@10.0.0.2 -p 22"], ON),
    "flatcar": ([f"core@10.110.0.{n} -i /home/op/.ssh/core_ed25519" for n in (11, 21, 22)], ON),
    "helm-metrics-server": (
        [f"root@10.120.0.{host} -i /home/op/.ssh/id_rsa" for host in (99, 98, 101, 102)],
        ON,
    ),
    "ipv6": (
        ["root@2001:db8:10::11 via jump@2001:db8:1::5", "root@2001:db8:10::21 -p 2222"],
        ON,
        ["19:7: [2001:db8:10::22]:22 is left out: k0sctl takes an IPv6 address without brackets"],
    ),
    "names-with-blanks": (
        [
            "alan@pi-24.local -i /home/op/OneDrive/Documents/GitHub/keys/id home k8s",
            "alan@kodaka.tail0000.ts.net -p 22",
            "root@100.64.0.21",
        ],
        ON,
    ),
    "behind-a-proxy": (
        [f"svc-k0s@10.140.0.{n} -p 22022 -i /home/op/.ssh/agent_key.pub" for n in (11, 21)],
        OFF,
    ),
    "openssh-aliases": (
        ["cp1 -F /home/op/work/ssh config", "ops@w1 -F /home/op/work/ssh config"],
        ON,
    ),
}
# For each file: where the sentence begins, what it says, and what else.
SENTENCES = {
    "variables-not-set": [
        "7:1: these variables are not set here: CONTROLLER_IP (line 7), SSH_USER (line 8), ",
        "SSH_KEY_FILE (line 9), WORKER_IP (line 12)",
        "${NAME:-default}",
    ],
    "two-clusters": ["11:7: k0sctl takes one cluster a file", "`staging`, `production`"],
    "another-tool": [
        "1:13: there is no k0sctl cluster",
        "`cfctl.clusterfactory.io/v1beta1`",
        "--kubeconfig",
    ],
    "terraform-template": ["7:1: line 7 is a template: `%{ for host in hosts ~}`", "rendered file"],
    "jinja-template": ["4:9: line 4 is a template: `{{ cluster_name }}`", "rendered file"],
    "no-hosts": ["7:3: there is no k0sctl cluster with hosts in it: `spec.hosts` lists none"],
    "typos": [
        "7:13: `master` is no role of a host; there are: controller, worker, controller+worker",
        "9:13: `Worker` is no role of a host; did you mean `worker`?",
        "10:13: `adress` is no key of `ssh`; did you mean `address`?",
        "11:7: a host has one way in, and this one has ssh and openSSH",
        "16:7: `ssh` is given twice here",
    ],
    "k0s-cluster-config": [
        "2:7: this is k0s's ClusterConfig",
        "name the file given to k0sctl apply, or use --kubeconfig",
    ],
}


@pytest.fixture(autouse=True)
def home(monkeypatch):
    monkeypatch.setenv("HOME", HOME)


def read(name):
    return read_cluster(FOLDER / f"{name}.yaml", {"HOME": HOME}, agree=lambda _: None)


def said_of(host):
    """How a host is reached, in short."""
    if host.is_here:
        return "here"
    *options, destination = host.ssh
    words = [destination]
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option != "-o":
            words.append(f"{option} {value}")
        elif value.startswith("ProxyCommand="):
            # The innermost is the first on the way.
            words += [f"via {each}" for each in re.findall(r"-- ([^ ']+)", value)[::-1]]
    return " ".join(words)


@pytest.mark.parametrize("name", READINGS)
def test_a_file_that_k0sctl_reads_is_read_the_same_way(name):
    hosts, konnectivity, *left_out = READINGS[name]
    found = read(name)
    assert [said_of(host) for host in found.hosts] == hosts
    assert found.konnectivity is konnectivity
    said = [str(each).removeprefix(f"{FOLDER}/{name}.yaml:") for each in found.left_out]
    for sentence, begins in zip(said, *(left_out or [[]]), strict=True):
        assert sentence.startswith(begins)


@pytest.mark.parametrize("name", SENTENCES)
def test_a_file_that_k0sctl_refuses_is_refused_with_what_to_change(name):
    first, *others = SENTENCES[name]
    with pytest.raises(UsageError) as caught:
        read(name)
    text = caught.value.text()
    assert text.startswith(f"{FOLDER}/{name}.yaml:{first}")
    for each in others:
        assert each in text


def test_every_shape_has_its_reading_or_its_sentence():
    assert {file.stem for file in FOLDER.iterdir()} == {*READINGS, *SENTENCES}


def test_what_the_flags_say_of_role_folder_and_components_counts():
    controller, worker = read("by-flags").hosts
    assert (controller.role, controller.data_dir) == ("controller+worker", "/srv/k0s")
    assert controller.disabled == {"konnectivity-server", "metrics-server"}
    assert (worker.role, worker.data_dir) == ("worker", "/srv/k0s")


def test_k0s_is_where_the_distribution_has_it_said_or_not():
    first, *others = read("flatcar").hosts
    assert (first.k0s, first.k0s_or) == ("/opt/bin/k0s", None)
    assert {(each.k0s, each.k0s_or) for each in others} == {("/usr/local/bin/k0s", "/opt/bin/k0s")}
    controller, _ = read("behind-a-proxy").hosts
    assert (controller.k0s, controller.k0s_or) == ("/opt/k0s/bin/k0s", None)


def test_host_keys_that_the_file_does_not_want_checked_are_and_it_is_said():
    for host in read("forwarded-ports").hosts:
        assert "UserKnownHostsFile=/dev/null" not in host.ssh
        assert all("host keys are always checked" in note for note in host.notes)
        assert any("SSH_KNOWN_HOSTS" in note for note in host.notes)


def test_a_variable_that_is_not_set_and_does_no_harm_is_said(tmp_path):
    file = tmp_path / "k0sctl.yaml"
    text = (FOLDER / "reset.yaml").read_text()
    file.write_text(text.replace("name: shrinking", "name: ${NO_SUCH_NAME}"))
    (note,) = read_cluster(file, {}).notes
    assert note.startswith(f"{file}:4:1: NO_SUCH_NAME is not set here")


# ---- the same files, asked of a real k0sctl

PROGRAM = real_k0sctl.find()
# k0sctl wants the files to be here that it would upload.
UPLOADS = {"helm-metrics-server", "behind-a-proxy"}
# Which the k0sctl of other versions reads.
ELSEWHERE = {"utf-16": "incomplete UTF-16 character", "ipv6": "hostname_rfc1123|ip"}


@pytest.mark.skipif(PROGRAM is None, reason="there is no k0sctl on this host")
@pytest.mark.parametrize("name", sorted({*READINGS, *SENTENCES} - UPLOADS - {"localhost"}))
def test_a_real_k0sctl_names_the_same_hosts_or_refuses_the_file(name, tmp_path):
    """Its addresses in 127.0.0.0/8; without a key k0sctl names all hosts and dials none."""
    k0sctl = real_k0sctl.RealK0sctl(PROGRAM, tmp_path / "home")
    file = tmp_path / "k0sctl.yaml"
    file.write_bytes(at_home((FOLDER / f"{name}.yaml").read_bytes()))
    named, message = k0sctl.unreachable(file)
    try:
        found = read_cluster(file, k0sctl.environ(), agree=lambda _: None)
    except UsageError:
        assert not named, message
        return
    if not named:
        assert ELSEWHERE.get(name, "no such words") in message
        return
    ours = {each.name.rpartition(":")[0] for each in found.left_out}
    ours |= {host.ssh[-1].rpartition("@")[2] for host in found.hosts}
    assert named == ours


def at_home(data):
    """The file with addresses of this machine alone, and a version, which k0sctl would look up."""
    if data.startswith(b"\xff\xfe"):
        return data
    text = re.sub(r"\b(?!127\.)\d+\.\d+\.(\d+\.\d+)\b(?!/)", r"127.0.\1", data.decode())
    text = re.sub(r"[\w-]+\.(?:example|tail0000\.ts)\.net\b|\bpi-24\.local\b", "127.0.9.9", text)
    text = re.sub(r"(kodaka\.)\S+", "127.0.9.8", text)
    text = text.replace("    version:\n", "    version: 1.32.3+k0s.0\n")
    return text.replace(
        "127.0.0.21\n---", "127.0.0.21\n  k0s: {version: 1.32.3+k0s.0}\n---"
    ).encode()
