"""JUnit: what CI systems show of a run, with the verdict as the message and never just "failed"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as ET

from harness.base.printable import printable
from harness.check.model import Verdict
from harness.engine.results import ExpectationResult, PhaseResult, ScenarioResult
from harness.evidence.redaction import redact
from harness.report.formatting import one_line, origin_line


def verdict_line(result: ExpectationResult) -> str:
    """Return the verdict as one line: what was expected, what was observed, why it came to that."""
    return redact(
        f"{result.verdict}: {one_line(result.explanation)} "
        f"(expected {one_line(result.expected_text)}; observed {one_line(result.observed_text)})"
    )


def run_properties(result: ScenarioResult) -> tuple[tuple[str, str], ...]:
    """Return name and value of what a whole run is known by: versions, provider, durations."""
    return (
        ("run_id", result.run_id),
        ("outcome", result.outcome),
        ("exit_code", str(int(result.exit_code))),
        ("substrate", result.substrate),
        ("provider", result.provider or ""),
        ("builds", origin_line(result)),
        *((f"version.{name}", version) for name, version in result.versions.items()),
        *((f"seconds.{step}", f"{seconds:.1f}") for step, seconds in result.timings.items()),
    )


def phase_properties(phase: PhaseResult) -> tuple[tuple[str, str], ...]:
    """Return name and value of what a phase's cases are known by: the cause, the broken hop."""
    if phase.diagnosis is None:
        return ()
    return (
        ("cause", phase.diagnosis.cause),
        ("confidence", phase.diagnosis.confidence),
        ("first_broken_hop", phase.diagnosis.first_broken_hop or ""),
    )


def render(planned: Sequence[str], results: Iterable[ScenarioResult]) -> str:
    """Return one JUnit document of several runs, a suite each.

    A not-met expectation is a failure, one that could not be judged an error. So is a run that
    ended early, and each scenario of `planned` that has no result: nothing may pass by being
    absent.
    """
    by_name = {result.scenario: result for result in results}
    root = ET.Element("testsuites", name="k0s-harness")
    for name in dict.fromkeys([*planned, *by_name]):
        result = by_name.get(name)
        suite = _missing(name) if result is None else _suite(result)
        for kind in ("failure", "error"):
            suite.set(f"{kind}s", str(len(suite.findall(f"testcase/{kind}"))))
        suite.set("tests", str(len(suite.findall("testcase"))))
        root.append(suite)
    for kind in ("tests", "failures", "errors"):
        root.set(kind, str(sum(int(suite.get(kind, "0")) for suite in root)))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document.decode() + "\n"


def _suite(result: ScenarioResult) -> ET.Element:
    suite = ET.Element("testsuite", name=printable(result.scenario))
    suite.set("timestamp", printable(result.started))
    suite.set("time", f"{sum(phase.seconds for phase in result.phases):.1f}")
    _add_properties(suite, run_properties(result))
    for phase in result.phases:
        for verdict in phase.verdicts:
            suite.append(_case(result.scenario, phase, verdict))
    if result.error is not None or not suite.findall("testcase"):
        text = result.error or "no expectation has a verdict"
        _add_problem(_bare_case(suite, result.scenario, "run"), "error", text)
    return suite


def _case(scenario: str, phase: PhaseResult, verdict: ExpectationResult) -> ET.Element:
    case = ET.Element("testcase", classname=printable(f"{scenario}.{phase.name}"))
    case.set("name", printable(verdict.id))
    case.set("time", f"{verdict.seconds:.1f}")
    _add_properties(case, phase_properties(phase))
    if verdict.verdict is not Verdict.MET:
        kind = "failure" if verdict.verdict is Verdict.NOT_MET else "error"
        _add_problem(case, kind, f"{verdict_line(verdict)}{_why(phase)}")
    return case


def _why(phase: PhaseResult) -> str:
    """Return the cause as the end of a failure's message: many viewers show nothing else."""
    if phase.diagnosis is None:
        return ""
    hop = phase.diagnosis.first_broken_hop
    where = f", first broken hop: {hop}" if hop is not None else ""
    return f"; cause: {phase.diagnosis.cause} ({phase.diagnosis.confidence} confidence){where}"


def _missing(scenario: str) -> ET.Element:
    suite = ET.Element("testsuite", name=printable(scenario))
    text = "planned, and without a result: the run did not get this far"
    _add_problem(_bare_case(suite, scenario, "run"), "error", text)
    return suite


def _bare_case(suite: ET.Element, scenario: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=printable(scenario), name=name, time="0")


def _add_properties(parent: ET.Element, pairs: Iterable[tuple[str, str]]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in pairs:
        ET.SubElement(properties, "property", name=printable(name), value=printable(redact(value)))


def _add_problem(case: ET.Element, kind: str, text: str) -> None:
    # All that XML 1.0 cannot hold even escaped is among what is no printable text.
    clean = printable(redact(text))
    ET.SubElement(case, kind, message=clean.partition("\n")[0]).text = clean
