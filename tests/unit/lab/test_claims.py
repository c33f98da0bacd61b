"""Subnets of labs that are not made yet, on a host that others share."""

from dataclasses import replace

import pytest

from harness.base.context import Context
from harness.lab import claims
from harness.lab.reservation import reserve
from tests.unit.lab.test_removal_safe import world


def networks(reservation):
    found = reservation.record.networks
    return {found.private.ipv4, found.nat.ipv4}


def test_commands_with_folders_of_their_own_choose_other_subnets():
    with world() as made:
        others = replace(made.settings, state_dir=made.root / "state-of-another")
        here = Context(made.engine, made.clock, made.settings)
        with reserve(here, scenario="one", provider="docker") as mine:
            there = Context(made.engine, made.clock, others)
            with reserve(there, scenario="one", provider="docker") as theirs:
                assert not networks(mine) & networks(theirs)
                assert set(claims.claimed()) == networks(mine) | networks(theirs)
        assert claims.claimed() == ()


@pytest.mark.parametrize("name", ["subnet-999.1.1.0", "subnet-10.0.0.7", "subnet-x", "names"])
def test_what_is_no_claim_is_none(name):
    with world():
        lock = claims.FileLock(claims.lock_path(name))
        assert lock.try_acquire("somebody")
        assert claims.claimed() == ()
        lock.release()
