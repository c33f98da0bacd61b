"""Errors are sentences, and each knows the exit code of the command it ends."""

from pathlib import Path

import pytest

from harness.base.errors import (
    ExitCode,
    HarnessError,
    HostLacksError,
    InconclusiveError,
    InfrastructureError,
    InterruptedRunError,
    UsageError,
)


def test_an_error_says_what_was_done_what_happened_what_to_do_and_where_the_rest_is():
    error = HarnessError(
        "Doing this",
        "that happened",
        details="first\nsecond\n",
        remedy="do the other",
        where=Path("/srv/it.log"),
    )
    assert error.text() == (
        "Doing this: that happened\n"
        "    first\n"
        "    second\n"
        "  -> do the other\n"
        "  The rest is in /srv/it.log"
    )
    assert str(error) == "Doing this: that happened"


def test_what_is_not_known_has_no_line():
    assert HarnessError("Doing this", "that happened").text() == "Doing this: that happened"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageError, 2),
        (HostLacksError, 3),
        (InfrastructureError, 4),
        (InconclusiveError, 4),
        (HarnessError, 4),
        (InterruptedRunError, 130),
    ],
)
def test_each_kind_has_the_exit_code_the_readme_promises(kind, code):
    error = kind("Doing this", "that happened")
    assert error.exit_code == code
    assert isinstance(error, HarnessError)


def test_the_exit_codes_are_those_that_are_promised():
    assert {each.name: each.value for each in ExitCode} == {
        "OK": 0,
        "NOT_MET": 1,
        "USAGE": 2,
        "HOST_LACKS": 3,
        "INFRASTRUCTURE": 4,
        "INTERRUPTED": 130,
    }
