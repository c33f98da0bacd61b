"""Reading scenario files: every mistake at once, each with its line; never a traceback."""

from __future__ import annotations

import difflib
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from harness.base.errors import UsageError
from harness.scenario.document import TOP, NotYamlError, Position, SourceMap, position_in, read
from harness.scenario.draft import draft
from harness.scenario.matrix import expand
from harness.scenario.mistakes import Mistake, ScenarioError
from harness.scenario.model import Scenario, scenario_model
from harness.scenario.rules import broken_rules
from harness.scenario.text_rules import broken_text_rules
from harness.scenario.translate import translated
from harness.vocabulary.nearest import quoted

# A scenario has about 1 kB, with a whole ClusterConfig in it 10 kB; a larger file is something else
# by mistake. Reading this much of the worst YAML takes one or two seconds.
MOST_BYTES = 32 * 1024

# Where those scenarios are that only machines with a kernel of their own can run.
FOR_VMS = "vms"

_MARKER = re.compile(rb"^(?:\xef\xbb\xbf)?format:[ \t]*[\"']?k0s-harness/", re.MULTILINE)


@dataclass(frozen=True)
class LoadedScenario:
    """A valid scenario, the file it was read from, and where in it everything stands.

    `variant` says which of a file with a matrix it is; empty without one.
    """

    scenario: Scenario
    path: Path
    marks: SourceMap
    variant: str = ""


class ScenarioNotFoundError(UsageError):
    """There is no scenario of that name; the message has the nearest names."""


def load(path: Path, variant: str = "") -> LoadedScenario:
    """Read the scenario file `path`, or one variant of it.

    Raises `ScenarioError` with every mistake, and `ScenarioNotFoundError` where there is no such
    variant.
    """
    return _the_one(load_all(path), variant)


def load_all(path: Path) -> tuple[LoadedScenario, ...]:
    """Read every variant of a scenario file: one without a matrix; raises `ScenarioError`."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "not a file"
            raise _refused(path, f"this is {what}; name a scenario file")
        if status.st_size > MOST_BYTES:
            raise _refused(path, _too_large(status.st_size))
        with path.open("rb") as file:
            # It may have grown since, and some files tell no size at all.
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _refused(path, f"cannot be read: {reason}") from None
    return load_all_text(content, str(path))


def load_text(text: str | bytes, name: str, variant: str = "") -> LoadedScenario:
    """Read a scenario from `text`, which messages call `name`; raises as `load` does."""
    return _the_one(load_all_text(text, name), variant)


def load_all_text(text: str | bytes, name: str) -> tuple[LoadedScenario, ...]:
    """Read every variant from `text`, which messages call `name`; raises `ScenarioError`."""
    path = Path(name)
    if len(text) > MOST_BYTES:
        raise _refused(path, _too_large(len(text)))
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode("utf-8", "replace").removeprefix("\ufeff")
            where = position_in(before, len(before))
            raise _refused(
                path, f"byte 0x{error.object[error.start]:02x} is not UTF-8 text", where
            ) from None
    try:
        variants, marks, found = _read_all(text, scenario_model())
    except NotYamlError as error:
        raise _refused(path, error.message, error.position) from None
    if found or not variants:
        raise ScenarioError(
            Mistake(name, position.line, position.column, sentence) for position, sentence in found
        )
    return tuple(LoadedScenario(scenario, path, marks, of) for of, scenario in variants.items())


def _read_all(
    text: str, model: type[Scenario]
) -> tuple[dict[str, Scenario], SourceMap, list[tuple[Position, str]]]:
    """Return every variant that is a `model`, where all of it stands, and the mistakes."""
    document = read(text)
    if not isinstance(document.data, dict):
        wrong = f"a scenario is a mapping (`key: value`), not {quoted(document.data)}"
        raise NotYamlError(TOP, wrong)
    marks = document.marks
    variants, problems = expand(document.data)
    found = [*document.mistakes, *((marks.value(place), text) for place, text in problems)]
    unreadable = {position for position, _ in found}
    scenarios = {}
    for variant in variants:
        scenario, mistakes = _read_variant(variant.data, model, marks, unreadable)
        found += mistakes
        if scenario is not None:
            scenarios[variant.name] = scenario
    return scenarios, marks, found


def _read_variant(
    data: dict[str, Any], model: type[Scenario], marks: SourceMap, unreadable: set[Position]
) -> tuple[Scenario | None, list[tuple[Position, str]]]:
    """Return the scenario, if the data is one, and the mistakes in it."""
    broken = list(broken_text_rules(data, marks))
    scenario: Scenario | None = None
    errors: list[ErrorDetails] = []
    try:
        scenario = model.model_validate(data)
    except ValidationError as error:
        errors = error.errors()
    broken += broken_rules(draft(data) if scenario is None else scenario, marks)
    # Where YAML itself or a rule has spoken, the model would only say the same in other words.
    judged = {place for place, _ in broken}
    found = [(marks.value(place), sentence) for place, sentence in broken]
    found += [
        (position, sentence)
        for place, position, sentence in translated(errors, marks)
        if place not in judged and position not in unreadable
    ]
    return scenario, found


def _the_one(loaded: tuple[LoadedScenario, ...], variant: str) -> LoadedScenario:
    for each in loaded:
        if each.variant == variant:
            return each
    doing = f"Looking for a scenario in {loaded[0].path}"
    names = [each.variant for each in loaded if each.variant]
    if not names:
        raise ScenarioNotFoundError(doing, f"it has no matrix, so it has no {quoted(variant)}")
    what = f"it has no {quoted(variant)}" if variant else "its matrix makes several of it"
    raise ScenarioNotFoundError(doing, what, remedy=f"there are: {', '.join(names)}")


def is_scenario(path: Path) -> bool:
    """Whether `path` is a file that says `format: k0s-harness/…` at its top level; never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return _MARKER.search(file.read(MOST_BYTES)) is not None
    except (OSError, ValueError):
        return False


def files_in(folder: Path, *, for_vms: bool = True) -> list[Path]:
    """Return the scenario files in `folder`, by name; `for_vms`: those for VMs alone, too."""
    files = [*folder.glob("*.yaml"), *((folder / FOR_VMS).glob("*.yaml") if for_vms else ())]
    return sorted(files, key=lambda file: file.stem)


def find(name_or_path: str, *folders: Path) -> Path:
    """Return the file of the scenario that `name_or_path` is: a path, or a name in `folders`.

    A name is looked for in one folder after another.

    Raises `ScenarioNotFoundError` with the nearest names.
    """
    path = Path(name_or_path)
    try:
        places = [
            place / name
            for folder in folders
            for place in (folder, folder / FOR_VMS)
            for name in (path, f"{path}.yaml")
        ]
        for candidate in (path, *places):
            if candidate.is_file():
                return candidate
        names = sorted({file.stem for folder in folders for file in files_in(folder)})
    except (OSError, ValueError):
        # A name that no file system takes is not found either.
        names = []
    near = difflib.get_close_matches(path.stem, names, n=3, cutoff=0.5)
    if near:
        remedy = f"did you mean {' or '.join(near)}?"
    elif names:
        remedy = f"there are: {', '.join(names)}"
    else:
        remedy = f"there are no scenario files in {folders[0]}; name one by its path"
    raise ScenarioNotFoundError(
        "Looking for a scenario", f"there is no {quoted(name_or_path)}", remedy=remedy
    )


def _refused(path: Path, message: str, position: Position = TOP) -> ScenarioError:
    return ScenarioError([Mistake(str(path), position.line, position.column, message)])


def _too_large(size: int) -> str:
    return (
        f"{size} bytes are too many for a scenario, which has about 1000; "
        f"at most {MOST_BYTES} are read"
    )
