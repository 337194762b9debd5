"""Expressions mean what Argo means by them, and what is not known is refused rather than guessed."""

import pytest

from pipeline.expressions import PipelineError, Status, dependencies, fulfilled, holds, is_true, render

SCOPE = {
    "inputs.parameters.compute": '{"cpu": "2", "gpu": "0"}',
    "inputs.parameters.higher": "true",
    "tasks.resolve-data.outputs.parameters.data_version": "v1",
    "workflow.uid": "u-1",
}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("plain", "plain"),
        ("{{workflow.uid}} and {{ workflow.uid }}", "u-1 and u-1"),
        ("{{tasks.resolve-data.outputs.parameters.data_version}}", "v1"),
        ("{{=jsonpath(inputs.parameters.compute, '$.cpu')}} CPUs", "2 CPUs"),
        ("{{=inputs.parameters.higher == 'true' ? '--higher' : '--lower'}}", "--higher"),
        ("{{=inputs.parameters.higher != 'true' ? '--lower' : '--higher'}}", "--higher"),
        ("{{=toJson('a \"b\" ' + workflow.uid)}}", '"a \\"b\\" u-1"'),
        ("{{=workflow.uid == 'u-1'}}", "true"),
    ],
)
def test_texts_are_filled_in(text: str, rendered: str) -> None:
    assert render(text, SCOPE) == rendered
    assert render({"list": [text], "number": 3}, SCOPE) == {"list": [rendered], "number": 3}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{{workflow.name}}", "{{workflow.name}} stands for nothing here; there are inputs.parameters.compute"),
        ("{{=sprig.upper(workflow.uid)}}", "it knows no function sprig.upper, only asInt, jsonpath, toJson"),
        ("{{=jsonpath(inputs.parameters.compute, '$.memory')}}", r"$.memory is not in"),
        ("{{=jsonpath(inputs.parameters.compute, '$..cpu')}}", r"'$..cpu' is more than $.KEY"),
        ("{{=workflow.uid ?? 'x'}}", "? stands where a value was expected"),
        ("{{=workflow.uid +}}", "its end stands where a value was expected"),
        ("{{=workflow.uid == 'a' ? 'b'}}", ": is missing before its end"),
        ("{{=toJson(workflow.uid}}", ") is missing before its end"),
        ("{{=workflow.uid workflow.uid}}", "workflow.uid is too much"),
        ("{{=workflow.uid + 1}}", "is not understood"),
        ("{{=workflow.uid ? 'a' : 'b'}}", "'u-1' stands where true or false was expected"),
    ],
)
def test_texts_that_are_not_understood_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(PipelineError) as refused:
        render(text, SCOPE)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("when", "so"),
    [
        ("{{inputs.parameters.higher}} == true", True),
        ("{{workflow.uid}} == u-1 && manual == manual", True),
        ("{{workflow.uid}} == u-1 && automatic == manual", False),
        ("a == b || c == c && d == e", False),  # && binds more than ||
        ("c == c || a == b && d == e", True),
        ("!(a == b)", True),
        ("a != b", True),
        ("0.06 >= 0.05", True),
        ("10 < 9", False),
        ("'true' == true", False),  # a text is no truth
    ],
)
def test_conditions_hold_as_govaluate_has_them(when: str, so: bool) -> None:
    assert holds(when, SCOPE) is so


def test_condition_that_is_no_truth_is_refused() -> None:
    with pytest.raises(PipelineError, match="'maybe' stands where true or false was expected"):
        holds("maybe", {})


ENDED = {"a": Status.SUCCEEDED, "b-c": Status.SKIPPED, "d": Status.FAILED, "e": Status.OMITTED}


@pytest.mark.parametrize(
    ("depends", "so"),
    [
        ("a", True),
        ("b-c", True),
        ("d", False),
        ("e", False),
        ("a.Succeeded", True),
        ("b-c.Succeeded", False),
        ("d.Failed || d.Succeeded", True),
        ("a && (e.Succeeded || e.Omitted)", True),
        ("a && !d.Failed", False),
    ],
)
def test_dependencies_are_fulfilled_as_argo_has_them(depends: str, so: bool) -> None:
    assert fulfilled(depends, lambda task: ENDED[task]) is so


def test_dependencies_are_all_that_are_named() -> None:
    assert dependencies("test.Succeeded && (approve.Omitted || wait-for-it)") == {"test", "approve", "wait-for-it"}
    assert dependencies("true") == set()


def test_status_that_is_not_known_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"a\.AnySucceeded is not understood in a depends: .*Omitted"):
        dependencies("a.AnySucceeded")


def test_expression_of_a_retry_compares_numbers() -> None:
    assert is_true("asInt(lastRetry.exitCode) != 2", {"lastRetry.exitCode": "1"})
    assert not is_true("asInt(lastRetry.exitCode) != 2", {"lastRetry.exitCode": "2"})
