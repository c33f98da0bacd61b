"""Which family makes the action of which kind of change."""

from __future__ import annotations

from typing import Any, TypeAlias

from harness.change import clock, firewall, images, links, manifest, modules, routes, workloads
from harness.change.addresses import Addresses
from harness.change.model import Action, Before
from harness.probe.core import Probe
from harness.scenario import changes

Doable: TypeAlias = (
    changes.Route
    | changes.BlackholeRoute
    | changes.Firewall
    | changes.NicDown
    | changes.Mtu
    | changes.Manifest
    | changes.Scale
    | changes.RestartPods
    | changes.RemoveImage
    | changes.ClockStep
    | changes.LoadModule
)


def looks(  # noqa: PLR0911  # one line a kind
    change: Doable, addresses: Addresses
) -> tuple[Probe[Any], ...]:
    """Return what is to be read right before the change."""
    match change:
        case changes.Route() | changes.BlackholeRoute():
            return routes.looks(change, addresses)
        case changes.Firewall():
            return ()
        case changes.NicDown() | changes.Mtu():
            return links.looks(change, addresses)
        case changes.Manifest():
            return manifest.looks(change)
        case changes.Scale():
            return workloads.looks_of_scale(change)
        case changes.RestartPods():
            return workloads.looks_of_restart(change)
        case changes.RemoveImage():
            return images.looks(change, addresses)
        case changes.ClockStep():
            return clock.looks(change, addresses)
        case changes.LoadModule():
            return modules.looks(change, addresses)


def action(  # noqa: C901, PLR0911  # one line a kind
    change: Doable, addresses: Addresses, key: str, before: Before
) -> Action:
    """Return the change as commands and checks; `key` is one that no other change has."""
    match change:
        case changes.Route():
            return routes.route(change, addresses, before)
        case changes.BlackholeRoute():
            return routes.blackhole(change, addresses, before)
        case changes.Firewall():
            return firewall.action(change, addresses, key)
        case changes.NicDown():
            return links.nic_down(change, addresses, before)
        case changes.Mtu():
            return links.mtu(change, addresses, before)
        case changes.Manifest():
            return manifest.action(change, before)
        case changes.Scale():
            return workloads.scale(change, before)
        case changes.RestartPods():
            return workloads.restart_pods(change, before)
        case changes.RemoveImage():
            return images.action(change, addresses, before)
        case changes.ClockStep():
            return clock.action(change, addresses, before)
        case changes.LoadModule():
            return modules.action(change, addresses, before)
