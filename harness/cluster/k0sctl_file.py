"""The one cluster of a k0sctl.yaml, from the file's bytes: documents, encoding, variables.

A file that k0sctl refuses is refused here, with every mistake in it and what to change.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import UsageError
from harness.base.untrusted import (
    Limits,
    RefusedError,
    read_bytes,
    require_size,
    require_yaml_within,
)
from harness.cluster import marked_yaml, strict_fields
from harness.cluster.given import Given, Problem
from harness.cluster.k0sctl_fields import CLUSTER, Field, Kind, Struct, Use
from harness.cluster.marked_yaml import Node, Scalar
from harness.cluster.substitution import Substituted, UnclosedError, Unset, substitute
from harness.vocabulary.nearest import quoted

API_VERSION = "k0sctl.k0sproject.io/v1beta1"
KINDS = ("Cluster", "cluster")
_K0S_GROUP = "k0s.k0sproject.io/"
# A hundred hosts with all they can have take 100 kB and 5000 values, a ClusterConfig and a few
# charts' values in it as much again.
LIMITS = Limits("a k0sctl.yaml", most_bytes=512 * 1024)
_NO_CLUSTER = "there is no k0sctl cluster with hosts in it"
_GIVEN_TO_APPLY = "name the file that was given to k0sctl apply --config"
_SEPARATOR = "---"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Jinja, Go, Terraform and ERB, as they stand in files that nobody rendered.
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|%\{.*?\}|<%.*?%>|\$\{[a-z_]+[.\[(][^}]*\}?")
_PLACE = re.compile(r":(\d+):\d+\Z")


@dataclass
class ClusterFile:
    """What the cluster's document says, and what is wrong with the file.

    `unset` are the variables in it, without a default, that are not set here.
    """

    path: Path
    written: str
    unset: tuple[Unset, ...]
    cluster: Given
    problems: list[Problem]

    def require_right(self) -> None:
        """Raise `UsageError` with every problem, each with its place.

        A template that nobody rendered, and variables that are not set, come first: they are why.
        """
        if self.problems:
            self.problems.sort(key=lambda each: _line(each.place))
            raise _error(self.problems, self.unset, self.path, self.written)


@dataclass(frozen=True)
class _Document:
    node: Node
    api_version: str
    kind: str
    name: str
    places: Mapping[str, str]


def read_cluster_file(path: Path, environ: Mapping[str, str]) -> ClusterFile:
    """Return the one cluster of the k0sctl.yaml `path`, with the variables of `environ` put in.

    Raises `UsageError` for a file that cannot be read, is over a limit, or that k0sctl refuses.
    """
    written, text, utf16 = _read(path, environ)
    problems: list[Problem] = []
    try:
        documents = [_document(each, path) for each in _nodes(path, text.text, utf16)]
        cluster = _cluster(documents, path, problems)
    except UsageError as error:
        problem = Problem(error.doing, error.happened, error.remedy)
        raise _error([problem], text.unset, path, written) from None
    return ClusterFile(path, written, text.unset, cluster, problems)


def _error(
    problems: list[Problem], unset: tuple[Unset, ...], path: Path, written: str
) -> UsageError:
    lines = {_line(problem.place) for problem in problems}
    names = ", ".join(f"{each.name} (line {each.line})" for each in unset)
    others = [str(problem) for problem in problems]
    template = _template(written, lines, path)
    if template is not None:
        return template
    guilty = sorted(lines & {each.line for each in unset})
    if guilty:
        return UsageError(
            f"{path}:{guilty[0]}:1",
            f"these variables are not set here: {names}",
            details="\n".join(others),
            remedy="export them as for k0sctl apply, or give them defaults: ${NAME:-default}",
        )
    if unset:
        others.append(f"not set here: {names}")
    first, *_ = problems
    return UsageError(
        first.place,
        first.sentence,
        details="\n".join(others[1:]) or None,
        remedy=first.remedy,
    )


def _template(written: str, lines: set[int], path: Path) -> UsageError | None:
    """Return the sentence for a file that was not rendered, where a template is in these lines."""
    # What is opened in a line may be missed in the next.
    near = lines | {line - 1 for line in lines}
    for number, text in enumerate(written.split("\n"), start=1):
        found = _TEMPLATE.search(text)
        if found is not None and number in near:
            return UsageError(
                f"{path}:{number}:{found.start() + 1}",
                f"line {number} is a template: {quoted(found.group())}",
                remedy="name the rendered file, the one that was given to k0sctl apply",
            )
    return None


def _read(path: Path, environ: Mapping[str, str]) -> tuple[str, Substituted, bool]:
    """Return the text as it is written, with the variables put in, and whether it is UTF-16."""
    doing = f"Reading {path}"
    try:
        data = read_bytes(path, LIMITS)
        utf16 = data.startswith(_UTF16)
        written = data.decode("utf-16" if utf16 else "utf-8")
        require_size(written.encode(), LIMITS)
        # k0sctl finds no variables in UTF-16.
        text = Substituted(written, ()) if utf16 else substitute(written, environ, LIMITS)
    except UnicodeDecodeError as error:
        raise UsageError(doing, f"it is not UTF-8 text: byte {error.start} is not") from None
    except UnclosedError as error:
        problem = Problem(f"{path}:{error.line}:1", str(error), "write $$ for a $ of its own")
        raise _error([problem], (), path, written) from None
    except RefusedError as error:
        raise UsageError(doing, str(error)) from None
    except OSError as error:
        raise UsageError(doing, str(error), remedy="name the cluster's k0sctl.yaml") from None
    return written, text, utf16


def _nodes(path: Path, text: str, utf16: bool) -> Iterator[Node | None]:
    # Of UTF-16 k0sctl reads the first document alone; since its v0.22 with the big end first only,
    # though the little end first is what editors on Windows write.
    for first_line, part in [(1, text)] if utf16 else _parts(text, path):
        try:
            require_yaml_within(part, LIMITS)
        except RefusedError as error:
            raise UsageError(f"Reading {path}", str(error)) from None
        yield marked_yaml.compose(part.removeprefix("\ufeff"), path, first_line)


def _parts(text: str, path: Path) -> Iterator[tuple[int, str]]:
    """Yield each document with its first line, parted by lines as k0sctl's reader parts them.

    Such a line that nothing stands before belongs to its document: two of them are an empty one.
    """
    part: list[str] = []
    first = 1
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith(_SEPARATOR):
            behind = line.removeprefix(_SEPARATOR).strip()
            if behind and not behind.startswith("#"):
                raise UsageError(
                    f"{path}:{number}:1", "a document's content begins in the line after its `---`"
                )
            if part:
                if "".join(part).strip():
                    yield first, "\n".join([*part, ""])
                part, first = [], number + 1
                continue
        part.append(line)
    if "".join(part).strip():
        yield first, "\n".join(part)


_RESOURCE = Struct(
    "the document",
    {
        "apiVersion": Field(Kind.TEXT, Use.USED, ""),
        "kind": Field(Kind.TEXT, Use.USED, ""),
        "metadata": Field(
            Struct("metadata", {"name": Field(Kind.TEXT, Use.USED, "")}), Use.USED, ""
        ),
    },
)


def _document(node: Node | None, path: Path) -> _Document:
    """Return what a document is; k0sctl takes none without these two words."""
    found = Given(f"{path}:1:1" if node is None else node.place)
    if node is not None and not (isinstance(node, Scalar) and node.is_null):
        wrong: list[Problem] = []
        found = strict_fields.read(node, _RESOURCE, wrong, strict=False)
        if wrong:
            raise UsageError(wrong[0].place, wrong[0].sentence)
    api_version, kind = found.text("apiVersion"), found.text("kind")
    if node is None or not api_version or not kind:
        what = "apiVersion" if not api_version else "kind"
        raise UsageError(
            found.place,
            f"{_NO_CLUSTER}: a document here has no `{what}`",
            remedy="k0sctl takes none without; of a comment before the first `---` it makes one",
        )
    metadata = found.given("metadata")
    name = "" if metadata is None else metadata.text("name")
    places = {key: found.place_of(key) for key in ("apiVersion", "kind")}
    return _Document(node, api_version, kind, name, places)


def _cluster(documents: list[_Document], path: Path, problems: list[Problem]) -> Given:
    """Return what the only cluster of k0sctl's among the documents says."""
    clusters = [
        each
        for each in documents
        if each.api_version.lower() == API_VERSION and each.kind.lower() == "cluster"
    ]
    if not clusters:
        raise _no_cluster(documents, path)
    if len(clusters) > 1:
        names = ", ".join(quoted(each.name or "k0s-cluster") for each in clusters)
        raise UsageError(
            clusters[1].places["kind"],
            f"k0sctl takes one cluster a file, and here are {len(clusters)}: {names}",
            remedy="give each a file of its own, and name one",
        )
    (document,) = clusters
    if document.api_version != API_VERSION:
        problems.append(
            Problem(document.places["apiVersion"], f"`apiVersion` is `{API_VERSION}`, written so")
        )
    if document.kind not in KINDS:
        problems.append(Problem(document.places["kind"], "`kind` is `Cluster` or `cluster`"))
    found = strict_fields.read(document.node, CLUSTER, problems)
    for each in documents:
        if each.api_version.lower().startswith(_K0S_GROUP) and each.kind.lower() == "clusterconfig":
            strict_fields.require_no_key_twice(each.node, problems)
    return found


def _no_cluster(documents: list[_Document], path: Path) -> UsageError:
    for each in documents:
        if each.api_version.lower().startswith(_K0S_GROUP):
            return UsageError(
                each.places["kind"],
                f"this is k0s's {each.kind}, and {_NO_CLUSTER}",
                remedy="name the file given to k0sctl apply, or use --kubeconfig",
            )
        if each.kind.lower() == "cluster":
            return UsageError(
                each.places["apiVersion"],
                f"{_NO_CLUSTER}: `apiVersion` is {quoted(each.api_version)}, and k0sctl's is"
                f" `{API_VERSION}`",
                remedy="if another tool deployed the cluster, use --kubeconfig",
            )
    return UsageError(f"{path}:1:1", _NO_CLUSTER, remedy=_GIVEN_TO_APPLY)


def _line(place: str) -> int:
    found = _PLACE.search(place)
    return int(found[1]) if found is not None else 0
