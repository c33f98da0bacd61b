"""The way into a cluster that its owner deployed: hosts from the owner's k0sctl.yaml."""

import shlex
import subprocess
import threading
from pathlib import Path

import pytest

from harness.base.completed import Completed
from harness.base.errors import UsageError
from harness.cluster.existing import K0sKubectl, read_cluster
from harness.engine.access import existing_cluster
from harness.ssh.arguments import SETTINGS, refuse

ONLY = ("-o", "IdentitiesOnly=yes")
HEAD = "apiVersion: k0sctl.k0sproject.io/v1beta1\nkind: Cluster\nspec:\n  hosts:\n"


@pytest.fixture
def hosts(tmp_path):
    def read(text, agree=refuse, **environ):
        path = tmp_path / "k0sctl.yaml"
        path.write_text(HEAD + text)
        return read_cluster(path, environ, agree=agree).hosts

    return read


def test_controllers_come_first_with_what_ssh_needs(hosts):
    worker, controller = (
        "  - {role: worker, ssh: {address: 10.0.0.2}}\n",
        "  - {role: controller, ssh: {address: 10.0.0.1, user: ops, port: 2222, keyPath: /k}}\n",
    )
    first, second = hosts(worker + controller)
    assert (first.name, first.role, first.controls, first.root) == (
        "10.0.0.1",
        "controller",
        True,
        False,
    )
    assert first.ssh == ("-p", "2222", "-i", "/k", *ONLY, "ops@10.0.0.1")
    # k0sctl's default user.
    assert (second.ssh, second.root) == (("root@10.0.0.2",), True)


def test_bastions_and_openssh_hosts_are_reached_as_k0sctl_does(hosts):
    first, second = hosts(
        "  - role: controller\n"
        "    ssh: {address: 10.0.0.1, bastion: {address: b, user: j, keyPath: /k k}}\n"
        "  - role: controller+worker\n"
        "    openSSH: {address: node1, configPath: /c, options: {ForwardAgent: true, "
        "ServerAliveCountMax: 1}}\n",
        agree=lambda _: None,
    )
    assert first.ssh == (
        "-o",
        f"ProxyCommand={shlex.join(['ssh', *SETTINGS, '-i', '/k k', *ONLY])} -W '[%h]:%p' -- j@b",
        "root@10.0.0.1",
    )
    assert second.ssh == (
        *("-F", "/c", "-o", "ForwardAgent=yes", "-o", "ServerAliveCountMax=1"),
        "node1",
    )
    assert second.controls


def test_ssh_itself_understands_a_bastion_behind_a_bastion_and_a_host_key(hosts, tmp_path):
    """What `ssh -G` makes of the arguments, for the destination and for each ssh on the way."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEhuX4Vxdp3tzGkN2O2eXvXDxo1uEcrZxIYiN6eTuSJc"
    # ssh passes over a key file that is not there.
    (tmp_path / "k").touch()
    (host,) = hosts(
        "  - role: controller\n"
        f"    ssh: {{address: 10.0.0.1, user: ops, hostKey: {key}, bastion: "
        "{address: 10.0.1.1, port: 2222, bastion: "
        f"{{address: 10.0.2.1, keyPath: {tmp_path}/k}}}}}}\n"
    )

    def asked(arguments):
        told = subprocess.run(
            ["ssh", "-G", "-F", "/dev/null", *arguments], capture_output=True, text=True, check=True
        )
        return dict(line.partition(" ")[::2] for line in told.stdout.splitlines())

    def on_the_way(seen):
        # As ssh makes a command of it: its own words put in, one percent sign of two.
        command = seen["proxycommand"].replace("%%", "\0").replace("%h", seen["hostname"])
        words = shlex.split(command.replace("%p", seen["port"]).replace("\0", "%"))
        assert (words[0], words[-4], words[-2]) == ("ssh", "-W", "--")
        return words[-3], asked([*words[1:-4], words[-1]])

    last = asked(host.ssh)
    assert last["knownhostscommand"] == f"/bin/echo %H {key}"
    target, middle = on_the_way(last)
    assert (target, middle["hostname"], middle["port"]) == ("[10.0.0.1]:22", "10.0.1.1", "2222")
    assert (middle["batchmode"], middle["stricthostkeychecking"]) == ("yes", "true")
    target, first = on_the_way(middle)
    assert (target, first["hostname"], first["identityfile"]) == (
        "[10.0.1.1]:2222",
        "10.0.2.1",
        f"{tmp_path}/k",
    )
    assert "proxycommand" not in first


def test_machines_behind_one_address_are_told_apart_by_their_ports(hosts):
    """As Vagrant forwards them: 127.0.0.1 for all, where one would stand for three."""
    named = hosts(
        "  - {role: controller, ssh: {address: 127.0.0.1, port: 2222}}\n"
        "  - {role: worker, ssh: {address: 127.0.0.1, port: 2200}}\n"
        "  - {role: worker, ssh: {address: 10.0.0.2}}\n"
    )
    assert [each.name for each in named] == ["127.0.0.1:2222", "127.0.0.1:2200", "10.0.0.2"]


def test_environment_variables_and_the_known_hosts_file_are_taken_over(hosts):
    text = "  - {role: controller, ssh: {address: $ADDRESS}}\n"
    (host,) = hosts(text, ADDRESS="10.9.8.7", SSH_KNOWN_HOSTS="/run/known_hosts")
    assert host.ssh == ("-o", "UserKnownHostsFile=/run/known_hosts", "root@10.9.8.7")
    # An empty value makes k0sctl accept any key; the diagnosis does not.
    (host,) = hosts(text, ADDRESS="10.9.8.7", SSH_KNOWN_HOSTS="")
    assert host.ssh == ("root@10.9.8.7",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: Pod\n", "there is no k0sctl cluster with hosts in it"),
        ("a: [\n", "this is not YAML"),
        (HEAD + "  - {role: controller, localhost: false}\n", "neither ssh nor openSSH"),
        (HEAD + "  - just text\n", "a host is a mapping"),
        (HEAD.replace("  hosts:\n", "  hosts: []\n"), "there is no k0sctl cluster with hosts"),
    ],
)
def test_a_file_that_leads_nowhere_is_said_in_a_sentence(tmp_path, text, says):
    path = tmp_path / "k0sctl.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_cluster(path, {})
    assert says in caught.value.text()


def test_an_address_that_is_none_ends_in_no_traceback(hosts):
    with pytest.raises(
        UsageError, match=r"k0sctl\.yaml:5:39: `address` is a word, and this is a list"
    ):
        hosts("  - {role: controller, ssh: {address: [10.0.0.1]}}\n")


def test_a_missing_file_is_said_in_a_sentence():
    with pytest.raises(UsageError, match="No such file"):
        read_cluster(Path("/nowhere/k0sctl.yaml"), {})


def test_kubectl_on_the_controller_writes_no_cache_there(hosts):
    class Machine:
        def run(self, argv, *, sudo, **_):
            self.seen = (argv, sudo)
            return Completed(tuple(argv), 0, "", "", 0.1)

    machine = Machine()
    (host,) = hosts(
        "  - {role: controller, ssh: {address: a}, k0sInstallPath: /opt/k0s, dataDir: /srv/k0s/}\n"
    )
    K0sKubectl(host, machine).run(["get", "nodes"], doing="x", deadline=1, check=True)
    argv, sudo = machine.seen
    assert argv == [
        *("env", "KUBECONFIG=/srv/k0s/pki/admin.conf"),
        *("/opt/k0s", "kubectl", "--cache-dir", "/dev/null/none", "get", "nodes"),
    ]
    assert sudo is True


def test_hosts_are_reached_side_by_side_and_what_cannot_be_is_left_out(tmp_path):
    class Ssh:
        """All three connections meet before any of them is answered; one is then turned down."""

        all_here = threading.Barrier(3, timeout=5)

        def run(self, argv, **_):
            if "k0s-harness stands" not in argv[-1]:
                return Completed(tuple(argv), 0, "", "", 0.0)
            self.all_here.wait()
            lost = "root@192.0.2.3" in argv
            said = "root@192.0.2.3: Permission denied (publickey).\n" if lost else ""
            stands = "" if lost else "k0s-harness stands: root:/usr/local/bin/k0s\n"
            return Completed(tuple(argv), 255 if lost else 0, stands, said, 0.0)

    file = tmp_path / "k0sctl.yaml"
    file.write_text(
        HEAD
        + "  - {role: controller, ssh: {address: 192.0.2.1}}\n"
        + "  - {role: worker, ssh: {address: 192.0.2.2}}\n"
        + "  - {role: worker, ssh: {address: 192.0.2.3}}\n"
    )
    with existing_cluster(Ssh(), file, say=[].append) as found:
        assert list(found.remotes) == ["192.0.2.1", "192.0.2.2"]
        assert found.controller == "192.0.2.1"
        assert list(found.unreachable) == ["192.0.2.3"]
        assert "Permission denied" in found.unreachable["192.0.2.3"]
