"""A provider is one object: one that is made up is known everywhere, and nothing else is edited."""

import os
from dataclasses import replace

import pytest

from harness import cli
from harness.base.context import Context, silent
from harness.base.errors import HostLacksError
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.host.facts import facts_from
from harness.host.needs import LabNeeds, Problem
from harness.host.raw import RawHost
from harness.images.box import package
from harness.lab import leftovers
from harness.preflight.choice import choose_provider, problems
from harness.preflight.report import HostReport, describe
from harness.preflight.survey import look_for
from harness.providers import registry
from harness.providers.backend import Backend
from harness.providers.base import Provider
from tests.unit.paths import UNIT

RECORDING = UNIT / "recordings" / "host-debian-12.json"
DEBIAN_12 = facts_from(RawHost.from_json(RECORDING.read_text()))


class Hyper(Provider):
    """Machines of a hypervisor that there is not."""

    name = "hyper"
    command = "hyperctl"
    machines = "machines of Hyper"
    isolation = "on the host: Hyper lets nothing out of its networks"
    backend = __name__
    boxed = False

    def problems(self, _facts, _needs):
        return [Problem("Hyper wants a licence", "hyperctl licence")]


class HyperBackend(Backend):
    """What removes Hyper's machines, which it says are all gone."""

    def __init__(self):
        self.swept = []

    def substrate(self, record, request, context):
        raise AssertionError("no machine is made of it here")

    def sweep(self, whose, *_):
        self.swept.append(whose.run_id)
        return []


BACKEND = HyperBackend()


@pytest.fixture
def hyper(monkeypatch, tmp_path):
    """The provider, by one folder with its tools and one registration."""
    (tmp_path / "tools.txt").write_text("hyperctl hyper-tools asks Hyper\n")
    monkeypatch.setattr(Hyper, "folder", tmp_path, raising=False)
    monkeypatch.setattr(BACKEND, "swept", [])
    monkeypatch.setitem(registry.PROVIDERS, Hyper.name, Hyper())


def test_settings_know_a_provider_that_was_registered(hyper):
    environ = {"HOME": "/h", "PROVIDER": "hyper"}
    assert Settings.from_environment(environ, providers=registry.names()).provider == "hyper"


def test_doctor_names_what_it_needs_and_the_package_that_has_it(hyper, tmp_path):
    choice = choose_provider(DEBIAN_12, "hyper")
    found = problems(DEBIAN_12, choice.provider, LabNeeds())
    text = "\n".join(describe(HostReport(DEBIAN_12, choice, LabNeeds(), found, ())))
    assert "hyper       not here" in text
    assert "missing: hyperctl (asks Hyper)" in text
    assert "apt-get install --no-install-recommends hyper-tools" in text
    assert "Hyper wants a licence" in text
    asked = look_for(Settings(tmp_path, tmp_path, tmp_path, provider="hyper"))
    assert "hyperctl" in asked.programs
    assert "hyper-tools" in asked.packages


def test_it_is_never_taken_unasked(hyper):
    ready = replace(DEBIAN_12, programs={**DEBIAN_12.programs, "hyperctl": "/usr/bin/hyperctl"})
    assert choose_provider(ready, None).provider == registry.DEFAULT


def test_plan_says_what_its_machines_and_its_isolation_are(hyper, monkeypatch, capsys):
    monkeypatch.setenv("PROVIDER", "hyper")
    assert cli.main(["plan", "konnectivity-off"]) == 0
    said = capsys.readouterr().out
    assert "3 machines of Hyper; 6144 MiB in all" in said
    assert "on the host: Hyper lets nothing out of its networks" in said


def test_what_a_run_left_with_it_is_removed(hyper, monkeypatch, tmp_path):
    folder = tmp_path / "labs" / "k5-abc123"
    folder.mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(leftovers.shutil, "which", {"hyperctl": "/usr/bin/hyperctl"}.get)
    settings = Settings(tmp_path, tmp_path, tmp_path)
    context = Context(NoProgram(), SystemClock(), settings)
    (removal,) = leftovers.clean(context, silent)
    assert removal.problems == ()
    assert BACKEND.swept == ["k5-abc123"]
    assert not folder.exists()


class NoProgram:
    """A host on which nothing can be asked."""

    def run(self, argv, *, doing, **_):
        raise HostLacksError(doing, f"there is no program {argv[0]}")


def test_the_providers_whose_machines_are_made_of_a_box_have_its_files():
    boxed = [each.name for each in registry.providers() if each.boxed]
    assert boxed == list(package.providers())


@pytest.mark.parametrize("provider", registry.providers(), ids=lambda each: each.name)
def test_each_provider_says_why_this_host_cannot_isolate_a_lab(provider, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert provider.host_layer_reason()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    # Where root can, plan says that it takes root.
    assert (provider.host_layer_reason() is None) == ("with root" in provider.isolation)
