"""The NAT network as VirtualBox's machines see it: every one of them has the same address on it.

There each machine has a NAT of its own, so that all are 10.0.2.15 behind 10.0.2.2. Whatever takes
that for a node's address (a kubelet without --node-ip, a CNI that picks its interface by itself)
works with one machine and fails with two. On the other providers NAT addresses are distinct, so
with SAME_NAT_ADDRESS=1 the picture is made on the machines themselves; the way in is the private
network and stays.
"""

from __future__ import annotations

from harness.ssh.remote import Remote

# VirtualBox's (manual, section "Configuring the address of a NAT network interface").
ADDRESS = "10.0.2.15"
GATEWAY = "10.0.2.2"

# systemd-networkd would put its lease back, so where it runs it is told instead; it needs a moment.
_SCRIPT = """\
set -eu
interface=$1 address=$2 gateway=$3
if systemctl is-active --quiet systemd-networkd; then
    cat >/etc/systemd/network/00-nat.network <<END
[Match]
Name=$interface
[Network]
Address=$address/24
Gateway=$gateway
END
    networkctl reload
else
    ip address flush dev "$interface" scope global
    ip address add "$address/24" dev "$interface"
    ip route replace default via "$gateway" dev "$interface"
fi
until ip -4 route show default | grep -qF "via $gateway dev $interface"; do sleep 0.2; done
"""
# Below a second where the processors are real, 5 s under emulation.
SECONDS = 60.0


def paint(remote: Remote, interface: str) -> None:
    """Give the machine VirtualBox's NAT address on `interface`, and its default route."""
    remote.run(
        ["sh", "-c", _SCRIPT, "sh", interface, ADDRESS, GATEWAY],
        doing="Giving it the same NAT address as the others",
        deadline=SECONDS,
        sudo=True,
    )
