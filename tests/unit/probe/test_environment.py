"""What of the API server's environment has its dials, by Go's rules for NO_PROXY."""

import json
from dataclasses import replace

import pytest

from harness.evidence.reading import Reading
from harness.probe.core import UnreadableError
from harness.probe.environment import ProxySettings, parse
from tests.unit.paths import RECORDINGS

WALK = RECORDINGS / "diagnosis/proxy-in-environment/1.jsonl"


def recorded():
    readings = (Reading.from_dict(json.loads(line)) for line in WALK.read_text().splitlines())
    return next(each for each in readings if each.probe == "apiserver_environment")


def test_the_proxy_and_what_goes_past_it_are_read():
    assert parse(recorded()) == ProxySettings("http://192.0.2.1:3128", "127.0.0.1,localhost")


def test_the_first_spelling_that_is_not_empty_counts():
    reading = replace(recorded(), stdout="HTTPS_PROXY=\nhttps_proxy=proxy:1\nno_proxy=*\n")
    assert parse(reading) == ProxySettings("proxy:1", "*")


def test_no_variable_is_no_proxy_and_no_api_server_is_nothing_read():
    assert parse(replace(recorded(), stdout="")) == ProxySettings()
    with pytest.raises(UnreadableError, match="no kube-apiserver runs on controller0"):
        parse(replace(recorded(), returncode=3, stdout=""))


@pytest.mark.parametrize(
    ("no_proxy", "taken"),
    [
        ("", True),
        ("127.0.0.1,localhost", True),
        (".svc,.cluster.local,10.244.0.0/16", True),
        ("localhost, 10.96.0.0/12", False),
        ("10.105.91.245", False),
        ("10.105.91.245:443", False),
        ("10.105.91.245:80", True),
        ("10.96.0.0/12:443", True),
        ("*", False),
    ],
)
def test_only_what_names_the_address_keeps_a_dial_from_the_proxy(no_proxy, taken):
    settings = ProxySettings("http://192.0.2.1:3128", no_proxy)
    assert settings.takes("10.105.91.245", 443) is taken


def test_without_a_proxy_and_on_the_machine_itself_nothing_is_taken():
    assert not ProxySettings(no_proxy="10.0.0.1").takes("10.105.91.245", 443)
    assert not ProxySettings("http://192.0.2.1:3128").takes("127.0.0.1", 6443)


@pytest.mark.parametrize(
    ("no_proxy", "taken"),
    [("10.0.0.0/8", True), ("fd00::/108", False), ("fd00::1", False), ("[fd00::1]:80", True)],
)
def test_a_cluster_of_the_other_address_family_is_judged_too(no_proxy, taken):
    assert ProxySettings("http://192.0.2.1:3128", no_proxy).takes("fd00::1", 443) is taken
