"""What the user set: the command line, then the environment, then the default."""

from pathlib import Path

import pytest

from harness.base.errors import ExitCode, UsageError
from harness.base.settings import Driver, Keep, Settings
from harness.providers.registry import names

HOME = {"HOME": "/home/ann"}


def test_defaults_follow_the_users_home_and_are_absolute():
    settings = Settings.from_environment(HOME)
    assert settings.state_dir == Path("/home/ann/.local/state/k0s-harness")
    assert settings.cache_dir == Path("/home/ann/.cache/k0s-harness")
    assert settings.runs_dir == Path.cwd() / "runs"
    assert settings.labs_dir == settings.state_dir / "labs"
    assert (settings.provider, settings.mirror, settings.k0s_binary) == (None, None, None)
    assert settings.keep is Keep.NEVER
    assert (settings.libvirt_uri, settings.pool) == ("qemu:///system", "default")
    assert settings.driver is None
    assert settings.origin["runs_dir"] == "default"


def test_the_desktops_base_folders_are_honoured():
    settings = Settings.from_environment({**HOME, "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c"})
    assert (settings.state_dir, settings.cache_dir) == (
        Path("/s/k0s-harness"),
        Path("/c/k0s-harness"),
    )


@pytest.mark.parametrize(
    ("field", "variable", "text", "value"),
    [
        ("state_dir", "K0S_HARNESS_STATE", "/srv/state", Path("/srv/state")),
        ("cache_dir", "K0S_HARNESS_CACHE", "/srv/cache", Path("/srv/cache")),
        ("runs_dir", "K0S_HARNESS_RUNS", "/srv/runs", Path("/srv/runs")),
        ("provider", "PROVIDER", "libvirt", "libvirt"),
        ("mirror", "K0S_HARNESS_MIRROR", "https://mirror.test/k0s", "https://mirror.test/k0s"),
        ("k0s_binary", "K0S_BINARY", "/srv/k0s", Path("/srv/k0s")),
        ("keep", "KEEP", "failure", Keep.FAILURE),
        ("libvirt_uri", "LIBVIRT_DEFAULT_URI", "qemu+ssh://a@b/system", "qemu+ssh://a@b/system"),
        ("pool", "K0S_HARNESS_POOL", "fast", "fast"),
        ("driver", "K0S_HARNESS_DRIVER", "kvm", Driver.KVM),
        ("shard", "SHARD", "2/5", (2, 5)),
        ("fresh", "FRESH", "1", True),
        ("fresh", "FRESH", "0", False),
        ("allow_unpinned", "K0S_HARNESS_ALLOW_UNPINNED", "1", True),
    ],
)
def test_every_setting_has_a_variable_that_its_origin_names(field, variable, text, value):
    settings = Settings.from_environment({**HOME, variable: text}, providers=names())
    assert getattr(settings, field) == value
    assert settings.origin[field] == variable


def test_the_command_line_beats_the_environment_and_the_environment_the_default():
    environ = {**HOME, "PROVIDER": "libvirt", "KEEP": "always", "K0S_HARNESS_RUNS": "/env"}
    settings = Settings.from_environment(
        environ, {"provider": "docker", "keep": None, "runs_dir": "given"}, providers=names()
    )
    assert settings.provider == "docker"
    assert settings.origin["provider"] == "--provider"
    assert settings.keep is Keep.ALWAYS
    assert settings.origin["keep"] == "KEEP"
    assert settings.runs_dir == Path.cwd() / "given"


def test_an_empty_variable_is_as_good_as_none():
    settings = Settings.from_environment({**HOME, "PROVIDER": "", "KEEP": "", "K0S_BINARY": ""})
    assert (settings.provider, settings.keep, settings.k0s_binary) == (None, Keep.NEVER, None)
    assert "provider" not in settings.origin


@pytest.mark.parametrize(
    ("variable", "word", "words"),
    [
        ("PROVIDER", "vmware", "docker, libvirt, virtualbox"),
        ("PROVIDER", "Docker", "docker, libvirt, virtualbox"),
        ("KEEP", "1", "never, failure, always"),
        ("KEEP", "yes", "never, failure, always"),
    ],
)
def test_an_unknown_word_is_refused_with_its_origin_and_the_known_ones(variable, word, words):
    with pytest.raises(UsageError) as caught:
        Settings.from_environment({**HOME, variable: word}, providers=names())
    assert caught.value.text().splitlines()[0] == (
        f"Reading {variable}: {word!r} is not one of: {words}"
    )
    assert caught.value.exit_code is ExitCode.USAGE


def test_an_unknown_word_of_the_command_line_names_the_option():
    with pytest.raises(UsageError, match="Reading --provider: '' is not one of"):
        Settings.from_environment(HOME, {"provider": ""}, providers=names())


def test_a_path_may_begin_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    settings = Settings.from_environment({**HOME, "K0S_BINARY": "~/k0s"})
    assert settings.k0s_binary == Path("/home/ann/k0s")


def test_labs_are_shared_unless_fresh_ones_are_asked_for():
    assert Settings.from_environment(HOME).fresh is False
    settings = Settings.from_environment({**HOME, "FRESH": "0"}, {"fresh": "1"})
    assert settings.fresh is True
    assert settings.origin["fresh"] == "--fresh"


def test_a_switch_is_one_or_nought_and_nothing_else():
    with pytest.raises(UsageError, match="Reading FRESH: 'yes' is neither 1 nor 0"):
        Settings.from_environment({**HOME, "FRESH": "yes"})
