"""Kinds of change, one module each: its model and rules, its words, and what it does.

Nothing here starts a program or opens a connection: a change is looks, commands and checks as
values, or another `Deployment` for k0sctl. A kind is added by its module and its line here.
"""

from __future__ import annotations

from harness.changes.blackhole_route import BlackholeRoute
from harness.changes.clock_step import ClockStep
from harness.changes.delete import Delete
from harness.changes.disable_component import DisableComponent
from harness.changes.enable_component import EnableComponent
from harness.changes.environment import Environment
from harness.changes.firewall import Firewall
from harness.changes.k0s_config import K0sConfig
from harness.changes.kind import Change
from harness.changes.load_module import LoadModule
from harness.changes.manifest import Manifest
from harness.changes.mtu import Mtu
from harness.changes.nic_down import NicDown
from harness.changes.node_ip import NodeIp
from harness.changes.remove_image import RemoveImage
from harness.changes.restart_pods import RestartPods
from harness.changes.route import Route
from harness.changes.scale import Scale
from harness.changes.undo import UndoPhase
from harness.vocabulary.kinds import Registry

CHANGES: Registry[Change] = Registry(
    "change",
    EnableComponent,
    DisableComponent,
    K0sConfig,
    Environment,
    NodeIp,
    Route,
    BlackholeRoute,
    Firewall,
    NicDown,
    Mtu,
    Manifest,
    Delete,
    Scale,
    RestartPods,
    RemoveImage,
    ClockStep,
    LoadModule,
    UndoPhase,
)
"""Every kind, in the order of the documentation."""
