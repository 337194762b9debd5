"""A process that was written down is found again, with what it has left, and no stranger is taken for it."""

import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from stack.record import ProcessRecord
from tests.integration.services import parent_and_child, running


@pytest.fixture
def process(tmp_path: Path) -> Iterator[psutil.Process]:
    with running(parent_and_child(tmp_path / "home"), tmp_path) as process:
        yield process


def test_record_is_read_from_among_what_else_is_written(process: psutil.Process) -> None:
    record = ProcessRecord.of(process)
    assert ProcessRecord.read({"port": 1, **asdict(record)}) == record
    assert ProcessRecord.read({"port": 1}) is None


def test_process_and_its_children_are_found_and_its_children_when_it_is_gone(process: psutil.Process) -> None:
    record, children = ProcessRecord.of(process), process.children()
    assert record.find() == (process, [process, *children])
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert record.find() == (None, children)
    assert record.stop()
    assert not [child for child in children if child.is_running()]
    assert record.find() == (None, [])
    assert not record.stop()


def test_clock_that_was_set_makes_no_process_unknown(process: psutil.Process) -> None:
    record = ProcessRecord.of(process)
    for step in (-2.0, 2.0):
        assert replace(record, created=record.created + step).find()[0] == process


def test_number_that_was_given_away_again_is_nobody_s(process: psutil.Process) -> None:
    record = ProcessRecord.of(process)
    for step in (-60.0, 60.0):
        assert replace(record, created=record.created + step).find() == (None, [])


def test_what_a_stranger_has_left_is_not_taken_for_that_of_a_process_from_before_the_machine_started(
    process: psutil.Process,
) -> None:
    record = ProcessRecord(process.pid, psutil.boot_time() - 60)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert record.find() == (None, [])
