"""Releases of k0s, ordered, and the gates that a scenario puts on them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from harness.vocabulary.nearest import quoted

# A number of more digits than this is no release and would only cost time.
_RELEASE = re.compile(
    r"v?(?P<major>[0-9]{1,4})\.(?P<minor>[0-9]{1,4})(?:\.(?P<patch>[0-9]{1,4}))?"
    r"(?:-(?P<pre>[0-9A-Za-z]+(?:\.[0-9A-Za-z]+)*))?"
    r"(?:\+k0s\.(?P<build>[0-9]{1,4}))?"
)
_CONDITION = re.compile(r"k0s\s*(?P<sign>>=|<=|==|!=|>|<)\s*(?P<release>\S+)")


@total_ordering
@dataclass(frozen=True)
class K0sVersion:
    """A release such as `v1.32.3+k0s.0`; the k0s build orders after the Kubernetes release.

    `pre` is the pre-release part (`rc.1`) or empty; a pre-release comes before its release.
    """

    major: int
    minor: int
    patch: int
    pre: str = ""
    build: int = 0

    @classmethod
    def parse(cls, text: str) -> K0sVersion:
        """Return the release that `text` names in full; raises `ValueError` with the remedy."""
        match = _RELEASE.fullmatch(text)
        if match is None or match["patch"] is None or match["build"] is None:
            raise ValueError(
                f"{quoted(text)} is not a k0s release; write it in full, as in v1.32.3+k0s.0"
            )
        return _from_match(match)

    def __str__(self) -> str:
        pre = f"-{self.pre}" if self.pre else ""
        return f"v{self.major}.{self.minor}.{self.patch}{pre}+k0s.{self.build}"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, K0sVersion):
            return NotImplemented
        return (*self.kubernetes, self.build) < (*other.kubernetes, other.build)

    @property
    def kubernetes(self) -> tuple[int, int, int, tuple[tuple[int, int, str], ...]]:
        """The Kubernetes release inside, without the k0s build, as something that orders."""
        return (self.major, self.minor, self.patch, _order_of_pre_release(self.pre))


@dataclass(frozen=True)
class _Condition:
    sign: str
    release: K0sVersion
    with_build: bool

    def holds(self, version: K0sVersion) -> bool:
        # Without a `+k0s.N` in the gate all builds of one Kubernetes release are the same to it.
        left = (*version.kubernetes, version.build if self.with_build else 0)
        right = (*self.release.kubernetes, self.release.build)
        return {
            ">=": left >= right,
            "<=": left <= right,
            ">": left > right,
            "<": left < right,
            "==": left == right,
            "!=": left != right,
        }[self.sign]


@dataclass(frozen=True)
class Gate:
    """A `when:` of a scenario: conditions on the k0s release that must all hold."""

    text: str
    conditions: tuple[_Condition, ...]

    @classmethod
    def parse(cls, text: str) -> Gate:
        """Return the gate `text` says, as in `k0s >= 1.33.0 and k0s < 1.35.1`.

        `1.35` means `1.35.0`. Raises `ValueError` with the remedy.
        """
        conditions = []
        for part in re.split(r"\s+and\s+", text.strip()):
            match = _CONDITION.fullmatch(part)
            release = _RELEASE.fullmatch(match["release"]) if match else None
            if match is None or release is None:
                raise ValueError(f"{quoted(part)} is not a condition; write it as in k0s >= 1.35.1")
            conditions.append(
                _Condition(match["sign"], _from_match(release), release["build"] is not None)
            )
        return cls(text, tuple(conditions))

    def holds(self, version: K0sVersion) -> bool:
        """Whether every condition holds for `version`."""
        return all(condition.holds(version) for condition in self.conditions)


def _from_match(match: re.Match[str]) -> K0sVersion:
    return K0sVersion(
        major=int(match["major"]),
        minor=int(match["minor"]),
        patch=int(match["patch"] or 0),
        pre=match["pre"] or "",
        build=int(match["build"] or 0),
    )


def _order_of_pre_release(pre: str) -> tuple[tuple[int, int, str], ...]:
    """Order as semver does: numbers below words, a release above all its pre-releases."""
    if not pre:
        return ((2, 0, ""),)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split("."))
