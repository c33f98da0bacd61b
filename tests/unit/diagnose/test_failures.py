"""What failed, by the words of whoever says so: those that real clusters said."""

from __future__ import annotations

import pytest

from harness.diagnose.failures import FailedOf, failed_of, status_of
from harness.probe import https, nodelogs
from tests.unit.paths import RECORDINGS
from tests.unit.recorded import readings

SCRAPE = 'Get "https://192.168.56.11:10250/metrics/resource": '


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (SCRAPE + "context deadline exceeded", FailedOf.NETWORK),
        (
            SCRAPE + "dial tcp 192.168.56.11:10250: connect: connection refused",
            FailedOf.NETWORK,
        ),
        (SCRAPE + "dial tcp 192.168.56.11:10250: connect: no route to host", FailedOf.NETWORK),
        (SCRAPE + "http2: client connection lost", FailedOf.NETWORK),
        ("curl: (28) Connection timed out after 5000 milliseconds", FailedOf.NETWORK),
        (
            "curl: (7) Failed to connect to 10.244.0.4 port 443: Couldn't connect to server",
            FailedOf.NETWORK,
        ),
        (SCRAPE + "remote error: tls: internal error", FailedOf.NO_CERTIFICATE),
        (
            "curl: (35) OpenSSL/3.0.22: error:0A000438:SSL routines::tlsv1 alert internal error",
            FailedOf.NO_CERTIFICATE,
        ),
        ("something that nobody has seen yet", FailedOf.UNKNOWN),
    ],
)
def test_words_say_what_failed(words, kind):
    assert failed_of(words) is kind


def test_what_was_asked_for_says_nothing_of_how_it_failed():
    asked = 'Get "https://timeout-x509.example.net:10250/metrics/resource": '
    assert failed_of(asked + "remote error: tls: internal error") is FailedOf.NO_CERTIFICATE
    assert failed_of(asked) is FailedOf.UNKNOWN


def test_only_an_answer_has_a_status():
    assert status_of(SCRAPE + "dial tcp 192.168.56.11:10250: i/o timeout") is None


def test_every_failure_that_was_recorded_is_of_a_known_kind():
    unknown = set()
    for path in RECORDINGS.glob("diagnosis/*/*.jsonl"):
        for reading in readings(path):
            probe = reading.probe.partition(":")[0]
            if probe == nodelogs.METRICS_SERVER.name and not reading.failed:
                said = [each.why for each in nodelogs.parse_metrics_server(reading).scrapes]
            elif probe in {https.KUBELET.name, https.PAYLOAD.name} and reading.returncode:
                said = reading.stderr.strip().splitlines()[-1:]
            else:
                continue
            unknown |= {
                each
                for each in said
                if failed_of(each) is FailedOf.UNKNOWN and not each.startswith("nsenter")
            }
    assert unknown == set()
