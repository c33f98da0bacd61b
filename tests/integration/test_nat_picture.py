from __future__ import annotations

import json

import pytest

from harness.lab import nat_picture
from harness.lab.lab import bring_up
from harness.lab.reservation import reserve
from harness.providers.substrate import LabRequest
from harness.providers.topology import MachineSpec
from harness.ssh.remote import Dial
from harness.vocabulary.words import Role

pytestmark = pytest.mark.machines


def test_machines_may_have_one_nat_address_and_reach_each_other_all_the_same(
    host, provider, emulated
):
    with reserve(host, scenario="integration", provider=provider) as place:
        machines = tuple(
            MachineSpec(f"worker{index}", Role.WORKER, str(place.subnet[10 + index]))
            for index in range(2)
        )
        folder = host.settings.runs_dir / "same-nat-address"
        request = LabRequest(machines, folder, emulated=emulated, same_nat_address=True)
        lab = bring_up(place, request)
        for machine in lab.machines.values():
            remote = lab.remote(machine.name)
            said = remote.run(["ip", "-j", "-4", "address"], doing="Looking", deadline=30).stdout
            found = {
                link["ifname"]: [address["local"] for address in link["addr_info"]]
                for link in json.loads(said)
            }
            assert found[machine.nat_interface] == [nat_picture.ADDRESS]
            assert found[machine.private_interface] == [machine.address]
            said = remote.run(
                ["ip", "-j", "route", "show", "default"], doing="Looking", deadline=30
            ).stdout
            (route,) = json.loads(said)
            assert (route["dev"], route["gateway"]) == (machine.nat_interface, nat_picture.GATEWAY)
            # Silent, as the NAT of a lab is everywhere.
            assert remote.dial("10.96.0.1", 443, deadline=1.5).outcome is Dial.TIMED_OUT
            for other in lab.machines.values():
                assert remote.dial(other.address, 22, deadline=5).outcome is Dial.CONNECTED
