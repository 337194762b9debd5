"""The `depends` and `when` of the manifests run the right steps after each outcome."""

import re

import pytest

from tests.unit.deploy.manifests import Document, called

YES, NO, FAILED = {"promoted": "true"}, {"promoted": "false"}, None
TO_THE_TEST = ["resolve-data", "train", "compare", "stage", "test"]
APPROVAL = ["wait-for-approval", "approve"]


def ran(tasks: list[Document], mode: str, outcomes: dict[str, dict[str, str] | None]) -> list[str]:
    """Return the tasks that run, in order. A step succeeds and says yes, unless `outcomes` has another outcome."""
    status: dict[str, str] = {}
    for task in tasks:
        name = task["name"]
        if not _holds(task.get("depends", "true"), status):
            status[name] = "Omitted"
        elif not _is_true(task.get("when", "true == true"), mode, outcomes):
            status[name] = "Skipped"
        else:
            status[name] = "Failed" if outcomes.get(name, YES) is FAILED else "Succeeded"
    return [name for name, ended in status.items() if ended in {"Succeeded", "Failed"}]


def _holds(depends: str, status: dict[str, str]) -> bool:
    known = re.sub(r"([\w-]+)\.(\w+)", lambda each: str(status[each[1]] == each[2]).lower(), depends)
    words = {"true": "True", "false": "False", "&&": "and", "||": "or", "(": "(", ")": ")"}
    return bool(eval(" ".join(words[word] for word in re.findall(r"\w+|&&|\|\||\S", known))))  # noqa: S307


def _is_true(when: str, mode: str, outcomes: dict[str, dict[str, str] | None]) -> bool:
    def value(tag: re.Match[str]) -> str:
        if tag[1] == "workflow.parameters.approval_mode":
            return mode
        _, task, _, _, output = tag[1].split(".")
        return (outcomes.get(task, YES) or {})[output]

    pairs = [each.split(" == ") for each in re.sub(r"\{\{(.*?)\}\}", value, when).split(" && ")]
    return all(left == right for left, right in pairs)


def tasks(entry: str, template: str) -> list[Document]:
    return called(entry, {"template": template}).tasks


@pytest.mark.parametrize(
    ("mode", "outcomes", "expected"),
    [
        ("automatic", {}, [*TO_THE_TEST, "deliver"]),
        ("manual", {}, [*TO_THE_TEST, *APPROVAL, "deliver"]),
        ("automatic", {"compare": NO}, TO_THE_TEST[:3]),
        ("manual", {"compare": NO}, TO_THE_TEST[:3]),
        ("automatic", {"test": NO}, TO_THE_TEST),
        ("manual", {"test": NO}, TO_THE_TEST),
        *(("manual", {name: FAILED}, TO_THE_TEST[: at + 1]) for at, name in enumerate(TO_THE_TEST)),
        *(("automatic", {name: FAILED}, TO_THE_TEST[: at + 1]) for at, name in enumerate(TO_THE_TEST)),
        # An aborted wait, and an approval that was not recorded.
        ("manual", {"wait-for-approval": FAILED}, [*TO_THE_TEST, "wait-for-approval"]),
        ("manual", {"approve": FAILED}, [*TO_THE_TEST, *APPROVAL]),
    ],
)
def test_only_a_compared_tested_and_approved_model_is_delivered(
    mode: str, outcomes: dict[str, dict[str, str] | None], expected: list[str]
) -> None:
    assert ran(tasks("fmnist-pipeline", "pipeline"), mode, outcomes) == expected


@pytest.mark.parametrize(("entry", "template"), [("fmnist-pipeline", "deliver"), ("fmnist-rollback", "rollback")])
def test_delivery_stops_at_the_step_that_fails(entry: str, template: str) -> None:
    steps = [task["name"] for task in tasks(entry, template)]
    assert steps[1:] == ["deploy", "smoke-test"]
    for at, name in enumerate(steps):
        assert ran(tasks(entry, template), "automatic", {name: FAILED}) == steps[: at + 1]


CANARY = ["start", "step", "deliver"]
FINISHED, ABORTED = {"action": "finish"}, {"action": "abort"}


@pytest.mark.parametrize(
    ("mode", "outcomes", "expected"),
    [
        ("automatic", {"step": FINISHED}, CANARY),
        ("automatic", {"step": ABORTED}, CANARY[:2]),
        ("automatic", {"start": FAILED}, CANARY[:1]),
        ("automatic", {"step": FAILED}, [*CANARY[:2], "abort"]),
        ("automatic", {"step": FINISHED, "deliver": FAILED}, [*CANARY, "abort"]),
        ("manual", {"step": FINISHED}, [*APPROVAL, *CANARY]),
        ("manual", {"wait-for-approval": FAILED}, APPROVAL[:1]),
        ("manual", {"approve": FAILED}, APPROVAL),
    ],
)
def test_finished_canary_is_delivered_and_a_failed_one_aborted(
    mode: str, outcomes: dict[str, dict[str, str] | None], expected: list[str]
) -> None:
    assert ran(tasks("fmnist-canary", "canary"), mode, outcomes) == expected


def test_canary_holds_the_mutex_only_for_its_release() -> None:
    held = {
        task["name"]: "synchronization" in called("fmnist-canary", task).body
        for task in tasks("fmnist-canary", "canary")
    }
    assert held == {
        "wait-for-approval": False,
        "approve": True,
        "start": False,
        "step": False,
        "deliver": True,
        "abort": False,
    }
