from __future__ import annotations

import re
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from harness.base.completed import CommandFailedError, Completed
from harness.base.context import Context
from harness.base.errors import HostLacksError, InfrastructureError
from harness.base.run_id import RunId
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.providers.libvirt import forwards
from harness.providers.libvirt.forwards import Forwards
from harness.providers.libvirt.machines import LibvirtMachines
from harness.providers.registry import provider
from harness.providers.substrate import LabRequest
from harness.providers.topology import MachineSpec
from harness.ssh.files import SshEndpoint
from harness.state import records
from harness.vocabulary.words import Role
from tests.unit.paths import UNIT

RECORDED = UNIT / "recordings" / "lab"
URI = "qemu+ssh://ann@big:2222/system?keyfile=/home/ann/key"
MARK = {"K0S_HARNESS_RUN": "/state/labs/k5-abc123"}

# What OpenSSH 9.2 said, 2026-11-23, on `ssh -W` to a closed port: of a server that forwards, and of
# one with `AllowTcpForwarding no`.
REFUSED = """\
channel 0: open failed: connect failed: Connection refused
stdio forwarding failed
"""
PROHIBITED = """\
channel 0: open failed: administratively prohibited: open failed
stdio forwarding failed
"""
# `ssh -O forward` for a port that is taken, and `ssh -O check` without a connection.
TAKEN = """\
mux_client_forward: forwarding request failed: Port forwarding failed
muxclient: master forward request failed
"""
NO_MASTER = "Control socket connect(/tmp/k5.ssh/libvirt-host): No such file or directory\n"
UNKNOWN_KEY = "Host key verification failed.\n"


class Ssh:
    """Stands for this host's ssh; `says` has what it answers to commands with such a word."""

    def __init__(self, **says):
        self.says = {word.replace("_", "-"): list(answers) for word, answers in says.items()}
        self.asked = []

    def run(self, argv, *, env=None, **_):
        self.asked.append((tuple(argv), dict(env or {})))
        for word, answers in self.says.items():
            if word in argv and answers:
                answer = answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                status, stdout, stderr = answer
                return Completed(tuple(argv), status, stdout, stderr, 0.1)
        return Completed(tuple(argv), 0, "", "", 0.1)

    def ports(self):
        """Return the local port of each way that was asked for, and where it leads."""
        found = [
            re.search(r"-L 127\.0\.0\.1:(\d+):(\S+) ", " ".join(argv)) for argv, _ in self.asked
        ]
        return [(int(way.group(1)), way.group(2)) for way in found if way]


def ways(ssh):
    return Forwards(URI, folder=Path("/tmp/k5.ssh"), mark=MARK, runner=ssh)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("qemu+ssh://big/system", ("big",)),
        ("qemu+ssh://ann@big/system", ("-l", "ann", "big")),
        (URI, ("-p", "2222", "-l", "ann", "-i", "/home/ann/key", "big")),
        ("qemu+ssh://ann%40corp@[fd00::1]/system", ("-l", "ann@corp", "fd00::1")),
        ("qemu+ssh://big/system?no_verify=1", ("-o", "StrictHostKeyChecking=no", "big")),
        ("qemu+ssh://big/system?no_verify=0&no_tty=1", ("big",)),
    ],
)
def test_ssh_goes_where_libvirts_uri_says(uri, words):
    assert forwards.login(uri) == words


def test_the_connection_carries_the_labs_mark_and_nothing_of_the_users_own():
    ssh = Ssh()
    ways(ssh).open()
    ((argv, environment),) = ssh.asked
    assert environment["K0S_HARNESS_RUN"] == "/state/labs/k5-abc123"
    assert environment["SSH_ASKPASS_REQUIRE"] == "never"
    assert {"BatchMode=yes", "UpdateHostKeys=no", "ClearAllForwardings=yes"} <= set(argv)
    assert argv[argv.index("-S") + 1] == "/tmp/k5.ssh/libvirt-host"


def test_a_host_that_does_not_let_in_is_the_hosts_lack_with_the_command_to_try():
    ssh = Ssh(_f=[(255, "", UNKNOWN_KEY)])
    with pytest.raises(HostLacksError, match="the host's key is not known here") as lack:
        ways(ssh).open()
    assert "ssh -p 2222 -l ann -i /home/ann/key big true" in lack.value.text()


def test_a_host_that_says_nothing_is_the_hosts_lack_too():
    late = CommandFailedError("Opening", Completed(("ssh",), -1, "", "", 20.0), timed_out=True)
    with pytest.raises(HostLacksError, match="no answer within 20s"):
        ways(Ssh(_f=[late])).open()


def test_a_server_that_forwards_nothing_is_found_out_before_a_machine_waits_for_it():
    network = IPv4Network("192.168.56.0/24")
    ways(Ssh(_W=[(255, "", REFUSED)])).check(network)
    with pytest.raises(HostLacksError, match=r"no connections to 192\.168\.56\.0/24") as lack:
        ways(Ssh(_W=[(255, "", PROHIBITED)])).check(network)
    assert "AllowTcpForwarding" in lack.value.text()


def test_a_port_that_another_program_took_meanwhile_is_not_used():
    ssh = Ssh(_L=[(255, "", TAKEN)])
    port = ways(ssh).forward("192.168.56.10", 22)
    assert [way for _, way in ssh.ports()] == ["192.168.56.10:22"] * 2
    assert ssh.ports()[1][0] == port
    nowhere = Ssh(_L=[(255, "", TAKEN)] * 9)
    with pytest.raises(InfrastructureError, match="no local port"):
        ways(nowhere).forward("192.168.56.10", 22)
    assert len(nowhere.ports()) == forwards.PORT_ATTEMPTS


def test_a_way_that_was_cut_is_opened_again_where_it_was(tmp_path):
    standing = Ssh(_O=[(0, "", "Master running (pid=1977)\n")])
    ways(standing).restore({40001: ("192.168.56.10", 22)})
    assert not standing.ports()

    cut = Ssh(_O=[(255, "", NO_MASTER)])
    way = Forwards(URI, folder=tmp_path / "k5.ssh", mark=MARK, runner=cut)
    way.restore({40001: ("192.168.56.10", 22), 40002: ("192.168.56.10", 6443)})
    assert cut.ports() == [(40001, "192.168.56.10:22"), (40002, "192.168.56.10:6443")]


def test_what_the_other_host_uses_is_taken():
    said = "".join((RECORDED / f"host-{what}.json").read_text() for what in ("address", "route"))
    used = forwards.networks_of(URI, Ssh(big=[(0, said, "")]))
    assert IPv4Network("172.17.0.0/16") in used
    assert IPv4Network("192.168.57.0/24") in used


@pytest.mark.parametrize("answer", [(255, "", UNKNOWN_KEY), (127, "", ""), (0, "Welcome\n", "")])
def test_a_host_that_does_not_say_what_it_uses_is_not_guessed_at(answer):
    with pytest.raises(HostLacksError, match="addresses and routes of big"):
        forwards.networks_of(URI, Ssh(big=[answer]))


def test_the_place_of_a_machine_elsewhere_names_the_host_it_is_reached_through():
    key = Path("/state/id")
    assert SshEndpoint("192.168.56.10", 22, "vagrant", key).place == "192.168.56.10"
    there = SshEndpoint("127.0.0.1", 40001, "vagrant", key, via="big")
    assert there.place == "127.0.0.1:40001 through big"


@pytest.fixture
def machines(tmp_path):
    """The libvirt provider's part in making a lab, at the URI it is given."""

    def make(uri, ssh):
        record = records.make_record(
            run_id=RunId("k5-abc123"),
            scenario="unit",
            provider="libvirt",
            labs_dir=tmp_path,
            machines=("controller0",),
            private=IPv4Network("192.168.56.0/24"),
            nat=IPv4Network("172.30.64.0/24"),
            created=SystemClock().now(),
            libvirt_uri=uri,
        )
        context = Context(ssh, SystemClock(), Settings(tmp_path, tmp_path, tmp_path))
        return LibvirtMachines(record, LabRequest((CONTROLLER,), tmp_path, emulated=True), context)

    return make


CONTROLLER = MachineSpec("controller0", Role.CONTROLLER, "192.168.56.10")


def test_machines_on_another_host_are_reached_on_local_ports_and_have_no_console_file(machines):
    ssh = Ssh()
    there = machines(URI, ssh)
    address, port = there.way(CONTROLLER, 6443)
    assert address == "127.0.0.1"
    assert ssh.ports() == [(port, "192.168.56.10:6443")]
    assert there.elsewhere == "big"
    assert there.settings()["domains"]["controller0"]["console"] is None


def test_machines_on_this_host_are_reached_where_they_are(machines):
    ssh = Ssh()
    here = machines("qemu:///system", ssh)
    assert here.way(CONTROLLER, 22) == ("192.168.56.10", 22)
    assert here.elsewhere == ""
    assert here.settings()["domains"]["controller0"]["console"].endswith("controller0.console")
    assert ssh.asked == []


def test_another_hosts_packet_filter_is_never_claimed():
    reason = provider("libvirt").host_layer_reason(elsewhere=True)
    assert "the machines are on another host" in str(reason)
    assert provider("libvirt").describe(3, emulated=True, elsewhere=True) == (
        "three VMs on another host under software emulation"
    )
