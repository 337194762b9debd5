"""Reports a promotion step: on the terminal, as JSON, and as files for a workflow engine."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fmnist.apps.outputs import print_json, write_report
from fmnist.apps.terminal import print_pairs, stdout
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import Rule
from fmnist.domain.model.promotion.records import AcceptanceRecord, DecisionRecord
from fmnist.domain.services.promotion.overview import Event, Standing
from fmnist.domain.services.promotion.trace import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """The result of a step.

    Attributes:
        promoted: whether the model passed. A refusal is a normal result too, not an error.
        message: the result in one line.
        hints: the commands that can come next.
    """

    promoted: bool
    message: str
    decision: DecisionRecord | None = None
    staged: ModelVersion | None = None
    acceptance: AcceptanceRecord | None = None
    released: ModelVersion | None = None
    hints: Sequence[str] = ()

    def outputs(self) -> dict[str, str]:
        """The outputs for a workflow engine, by name. A missing one is an empty string."""
        return {
            "promoted": str(self.promoted).lower(),
            "staging_version": str(self.staged.version) if self.staged else "",
            "prod_version": str(self.released.version) if self.released else "",
            "message": self.message,
        }

    def document(self) -> dict[str, Any]:
        """The whole report, ready for JSON."""
        return {
            **self.outputs(),
            "promoted": self.promoted,
            "staging_uri": self.staged.uri if self.staged else None,
            "prod_uri": self.released.uri if self.released else None,
            "decision": _plain(self.decision),
            "acceptance": _plain(self.acceptance),
        }


def give(report: StepReport, *, as_json: bool, output_dir: Path | None) -> None:
    """Print the report, and write it to `output_dir` if there is one."""
    write_report(output_dir, report.outputs(), report.document())
    if as_json:
        print_json(report.document())
    else:
        _print_step(report)


def _print_step(report: StepReport) -> None:
    console = stdout()
    if report.decision:
        record = report.decision
        rows = [("challenger", record.version), ("champion", record.champion or "none yet")]
        if record.data_version:
            images = next((int(rule.figures["images"]) for rule in record.rules if "images" in rule.figures), None)
            rows.append(
                ("measured on", f"{f'{images:,} images of ' if images else ''}{record.split} of {record.data_version}")
            )
        else:
            rows.append(("measured by", f"{record.policy['metric']}, as each run logged it"))
        print_pairs(rows)
        _print_rules(record.rules)
        if changes := _class_changes(record.rules):
            console.print(Text(f"change of recall by class, in points: {changes}"))
        console.print()
    if report.acceptance:
        console.print(f"test of {report.acceptance.version}", soft_wrap=True)
        _print_rules(report.acceptance.checks)
        console.print()
    console.print(Text(_verdict(report), "bold green" if report.promoted else "bold red"))
    if report.hints:
        console.print("\nNext:")
        for hint in report.hints:
            console.print(f"  {hint}", soft_wrap=True)


def _verdict(report: StepReport) -> str:
    """The result in one line. The table above it has the reasons of a decision."""
    decision = report.decision.decision if report.decision else None
    if decision is None or report.message != decision.message:
        return report.message
    failed = [rule.name for rule in decision.rules if not rule.passed]
    return f"refused by: {', '.join(failed)}" if failed else "accepted: every rule passed"


def _print_rules(rules: Sequence[Rule]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for rule in rules:
        table.add_row(Text("pass", "green") if rule.passed else Text("FAIL", "red"), rule.name, Text(rule.reason))
    stdout().print(table)


def _class_changes(rules: Sequence[Rule]) -> str:
    figures = next((rule.figures for rule in rules if rule.name == "classes"), {})
    changes = sorted((value, name) for name, value in figures.items() if name != "allowed")
    return ", ".join(f"{name} {100 * value:+.1f}" for value, name in changes)


_STATUS_DETAILS = (
    ("note", "state"),
    ("run", "run"),
    ("data", "data"),
    ("image", "trained in"),
    ("serving_image", "served by"),
)


def print_status(standings: Sequence[Standing], *, as_json: bool) -> None:
    """Print the version in each role, since when, and where it comes from."""
    rows = []
    for each in standings:
        version = each.version
        tags = version.tags if version else {}
        rows.append(
            {
                "role": each.role,
                "model_uri": version.uri if version else None,
                "since": each.since or None,
                "note": each.note or None,
                "run": (version.run_id or None) if version else None,
                "data": tags.get("dvc_data_version"),
                "image": tags.get("docker_image_tag"),
                "serving_image": tags.get("serving_image"),
            }
        )
    if as_json:
        print_json(rows)
        return
    heads = [(row["role"], row["model_uri"] or "none", _to_the_second(row["since"] or "")) for row in rows]
    width = max(len(uri) for _, uri, _ in heads)
    stdout().print(f"{'':<10} {'model':<{width}} since", soft_wrap=True)
    for (role, uri, since), row in zip(heads, rows, strict=True):
        stdout().print(Text(f"{role:<10} {uri:<{width}} {since}".rstrip(), "bold"), soft_wrap=True)
        told = [(label, row[name]) for name, label in _STATUS_DETAILS]
        print_pairs([(f"{'':<10} {label:<10}", value) for label, value in told if value])


def print_history(events: Sequence[Event], *, as_json: bool) -> None:
    """Print the events, oldest first."""
    if as_json:
        print_json([dataclasses.asdict(event) for event in events])
        return
    if not events:
        stdout().print("no events yet: run fmnist train, then fmnist promote run")
    for event in events:
        by = f" by {' '.join(event.by.split())}" if event.by else ""  # a name must not break the line
        name = event.version.removeprefix("models:/")
        stdout().print(f"{_to_the_second(event.at)}  {event.what:<11} {name}{by}", soft_wrap=True)
        stdout().print(Padding(Text(event.detail), (0, 0, 0, 22)))


def _to_the_second(at: str) -> str:
    return re.sub(r"\.\d+Z$", "Z", at)


def print_trace(links: Sequence[Link], *, as_json: bool) -> None:
    """Print a lineage, from the model to its data and code."""
    if as_json:
        print_json([dataclasses.asdict(link) for link in links])
        return
    for depth, link in enumerate(links):
        arrow = "" if depth == 0 else "<- "
        stdout().print(f"{arrow}{link.what} {link.name}", soft_wrap=True)
        print_pairs([(f"     {name}", value) for name, value in link.details])


def _plain(record: DecisionRecord | AcceptanceRecord | None) -> dict[str, Any] | None:
    return None if record is None else dataclasses.asdict(record)
