"""This host's facts, with all that the providers' labs may need looked for."""

from __future__ import annotations

from collections.abc import Mapping

from harness.base.process import Runner
from harness.base.settings import Settings
from harness.host.facts import HostFacts, facts_from
from harness.host.read import LookFor, read_host
from harness.host.tools import SPLIT
from harness.providers.registry import provider, providers


def survey(
    runner: Runner,
    settings: Settings,
    environ: Mapping[str, str],
    *,
    versions: bool = True,
    everything: bool = False,
) -> HostFacts:
    """Return what this host is; without `versions` Vagrant is not asked for its own.

    libvirt is asked where its machines may be chosen, or with `everything`.
    """
    wanted = look_for(settings, everything=everything)
    return facts_from(read_host(runner, settings, environ, wanted, versions=versions))


def look_for(settings: Settings, *, everything: bool = False) -> LookFor:
    """Return what is looked for on a host for a run with these settings."""
    asked = [provider(None), *([provider(settings.provider)] if settings.provider else [])]
    tools = list(dict.fromkeys(tool for each in asked for tool in each.tools()))
    split = (package for programs in SPLIT.values() for package in programs.values())
    daemons = (
        daemon.program
        for each in providers()
        if each.service is not None
        for daemon in each.service.daemons
    )
    return LookFor(
        programs=[*(tool.program for each in providers() for tool in each.tools()), *daemons],
        needed=frozenset(tool.program for tool in tools),
        packages=list(dict.fromkeys([*(tool.package for tool in tools), *split])),
        # Asked for by name another one is taken whatever libvirt says.
        libvirt=True
        if everything
        else provider(settings.provider).by_libvirt
        if settings.provider
        else None,
    )
