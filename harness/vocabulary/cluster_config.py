"""What of a ClusterConfig the harness must set itself, and what a scenario does to it.

A scenario's fragment is merged over these values; one that contradicts them is a mistake unless
the scenario says under `cluster.break` that it does so on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from harness.cni import CNIS
from harness.vocabulary.nearest import quoted

Keys = tuple[str, ...]

# The NIC of the private network on every machine, on every provider: the second one.
PRIVATE_INTERFACE = "eth1"


@dataclass(frozen=True)
class Reserved:
    """A value of the ClusterConfig that the harness sets.

    `value` is None where only the run knows it; `why` ends the sentence "the harness sets it …".
    """

    path: Keys
    why: str
    value: Any = None
    breakable: bool = True

    @property
    def dotted(self) -> str:
        """The path as a scenario writes it under `break`."""
        return ".".join(self.path)


_OF_EVERY_CLUSTER = (
    Reserved(("apiVersion",), "to what k0s reads", value="k0s.k0sproject.io/v1beta1"),
    Reserved(("kind",), "to what k0s reads", value="ClusterConfig"),
    Reserved(("spec", "api", "address"), "to the controllers' addresses on the private network"),
    Reserved(("spec", "api", "sans"), "to the controllers' addresses on the private network"),
    Reserved(
        ("spec", "telemetry", "enabled"),
        "to false, because nothing a lab does may leave the host",
        value=False,
        breakable=False,
    ),
    Reserved(
        ("spec", "images", "default_pull_policy"),
        "to Never, so that images come from the bundle and a run needs no network",
        value="Never",
    ),
)
# Where a ClusterConfig names the network provider.
PROVIDER: Keys = ("spec", "network", "provider")
# What `at` returns where nothing stands: not None, which a file may say.
ABSENT = object()
_TOP_KEYS = ("apiVersion", "kind", "metadata", "spec")


def all_reserved() -> tuple[Reserved, ...]:
    """Return every value that the harness sets: k0s's own, and those of network providers."""
    own = (
        Reserved(
            each.node_address.setting,
            "to the private network's interface, because the other one is NAT",
            value=each.node_address.by_interface.format(PRIVATE_INTERFACE),
        )
        for each in CNIS
        if each.node_address is not None
    )
    return (*_OF_EVERY_CLUSTER, *own)


@dataclass(frozen=True)
class ConfigLeaf:
    """A value that the scenario gives k0s: it is read back from the cluster.

    Lists and empty mappings are leaves. `dotted` is for people; keys may have dots in them.
    """

    path: Keys
    value: Any

    @property
    def dotted(self) -> str:
        """The path as people write it, as in `spec.konnectivity.agentPort`."""
        return ".".join(self.path)


def at(value: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401  # any YAML
    """Return what stands at `path` in `value`, or `ABSENT`."""
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return ABSENT
    return value


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` on top: mappings key by key, everything else as a whole."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            result[key] = merged(below, value)
        else:
            result[key] = deepcopy(value)
    return result


def leaves(fragment: Mapping[str, Any] | None) -> Iterator[ConfigLeaf]:
    """Yield every leaf of a ClusterConfig fragment, in the order of the file."""
    yield from _leaves(fragment or {}, ())


def collisions(fragment: Mapping[str, Any], broken: Iterable[str]) -> Iterator[tuple[Keys, str]]:
    """Yield path and sentence of each value that `fragment` sets and the harness must set."""
    allowed = set(broken)
    for key in fragment:
        if key not in _TOP_KEYS and key not in allowed:
            yield (
                (key,),
                f"a ClusterConfig has no {quoted(key)} at its top; its settings stand under `spec`",
            )
    for reserved in all_reserved():
        yield from _collision(reserved, fragment, allowed)


def _collision(
    reserved: Reserved, fragment: Mapping[str, Any], allowed: set[str]
) -> Iterator[tuple[Keys, str]]:
    may_break = reserved.breakable and reserved.dotted in allowed
    here: Any = fragment
    for depth, key in enumerate(reserved.path):
        if not isinstance(here, dict):
            if depth and not may_break:
                # Whatever stands here instead of a mapping would take the value with it.
                yield reserved.path[:depth], _sentence(reserved)
            return
        if key not in here:
            return
        here = here[key]
    if not may_break and (reserved.value is None or here != reserved.value):
        yield reserved.path, _sentence(reserved)


def _sentence(reserved: Reserved) -> str:
    text = f"the harness sets `{reserved.dotted}` {reserved.why}"
    if not reserved.breakable:
        return f"{text}; no scenario may change that"
    return f"{text}; to set it wrong on purpose, list it under `cluster.break`"


def _leaves(value: Any, path: Keys) -> Iterator[ConfigLeaf]:  # noqa: ANN401  # any YAML
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, (*path, key))
    elif path:
        yield ConfigLeaf(path, value)
