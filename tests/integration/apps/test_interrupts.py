"""Ctrl-C, SIGTERM and a closed terminal at any moment: the run is KILLED, the exit code tells the signal, and
--resume finishes it.
"""

import os
import signal
import subprocess
import sys

import mlflow.pytorch
import psutil
import pytest
import torch

from fmnist.domain.model.evaluation.report import SECONDS_METRIC, SPEED_METRIC
from fmnist.domain.model.training.run import EPOCH_METRICS
from tests.integration.apps.command import Command
from tests.integration.apps.conftest import RECIPE, Trained
from tests.integration.apps.here import Here

# Makes the terminal of its standard streams its controlling terminal, and then executes the command. A suite under
# `nohup` passes an ignored SIGHUP on to it.
IN_TERMINAL = """\
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGHUP, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
INT, TERM = signal.SIGINT, signal.SIGTERM
TWO_WORKERS = ("--num-workers", "2", "--batch-size", "4", *RECIPE[2:])


def test_interrupt_before_a_run_starts_leaves_no_run(command: Command) -> None:
    command.variables["LOG_LEVEL"] = "DEBUG"
    started = command.start("train", "--compute", "local", *RECIPE)
    started.wait_for("state directory")
    started.send(TERM)
    code, said = started.end()
    assert code == 143
    assert said.splitlines()[-1] == "terminated"
    assert command.runs() == []


def test_a_run_that_is_interrupted_several_times_gives_the_same_result(command: Command, trained: Trained) -> None:
    started = command.start("train", "--compute", "local", *RECIPE)
    started.wait_for("epoch 1/3")
    # In the second epoch. A second Ctrl-C does not interrupt the clean-up. Two kinds of signal could swap their order.
    started.send(INT, INT)
    code, said = started.end()
    run_id = command.only_run().info.run_id
    assert code == 130
    assert f"fmnist train --resume {run_id} continues from its last checkpoint" in said
    assert said.splitlines()[-1] == "interrupted"
    assert_left_as_killed(command)

    # While the model is evaluated and saved, which takes seconds from here.
    started = command.start("train", "--resume", run_id)
    started.wait_for("epoch 3/3")
    started.send(TERM)
    code, said = started.end()
    assert code == 143
    assert said.splitlines()[-1] == "terminated"
    assert_left_as_killed(command)

    result = Here(command).json("train", "--resume", run_id)
    assert {**result, "training_seconds": 0} == {**trained.result, "training_seconds": 0, "run_id": run_id}
    assert_same_in_the_end(command, trained.command)


def test_on_ray_no_process_stays_behind_and_the_run_is_finished_there(command: Command) -> None:
    # The contract suite of the compute checks that the weights are those of an undisturbed run.
    command.variables["PYTHONWARNINGS"] = "error"
    started = command.start("train", *RECIPE)
    started.wait_for("epoch 1/3")
    family = psutil.Process(started.process.pid).children(recursive=True)
    workers = [process for process in family if "RayTrainWorker" in " ".join(process.cmdline())]
    assert workers
    # torch of a worker listens on all interfaces for other workers.
    reached_by = {address for process in family if process not in workers for address in listening(process)}
    assert reached_by <= {"127.0.0.1", "::ffff:127.0.0.1"}
    started.send(INT, INT)
    code, said = started.end()
    assert code == 130
    assert said.splitlines()[-1] == "interrupted"
    assert "Traceback" not in said
    assert_left_as_killed(command)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []

    result = Here(command).json("train", "--resume", command.only_run().info.run_id)
    run = command.only_run()
    assert (run.info.status, run.data.tags["compute"]) == ("FINISHED", "ray")
    assert [step for step, _ in command.history(run.info.run_id, "train_loss")] == [0, 1, 2]
    assert [step for step, _ in command.history(run.info.run_id, "val_acc")] == [0, 1, 2, 3]
    assert [version.run_id for version in command.versions()] == [result["run_id"]]


@pytest.mark.soak
def test_closed_terminal_stops_a_training_on_ray_in_order(command: Command) -> None:
    # A closed terminal sends SIGHUP to every process, also to those of Ray.
    terminal, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, sys.executable, "-m", "fmnist", "train", *TWO_WORKERS],
        cwd=command.home,
        env=command.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said = b""
    while b"epoch 1/3  " not in said:
        said += os.read(terminal, 65536)
    family = psutil.Process(process.pid).children(recursive=True)
    os.close(terminal)
    assert process.wait(timeout=120) == 129
    assert_left_as_killed(command)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []


def listening(process: psutil.Process) -> set[str]:
    """Return the addresses at which a process listens, or none if it has ended."""
    try:
        return {each.laddr.ip for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
    except psutil.NoSuchProcess:
        return set()


def assert_left_as_killed(command: Command) -> None:
    assert command.only_run().info.status == "KILLED"
    assert command.versions() == []


def assert_same_in_the_end(resumed: Command, undisturbed: Command) -> None:
    """Check that both have one FINISHED run with the same metrics, no value twice, and one model with the same weights.

    Times may differ.
    """
    run, expected = resumed.only_run(), undisturbed.only_run()
    assert run.info.status == "FINISHED"
    assert {*EPOCH_METRICS, "test_acc"} < set(run.data.metrics) == set(expected.data.metrics)
    for metric in set(run.data.metrics) - {SECONDS_METRIC, SPEED_METRIC}:
        assert resumed.history(run.info.run_id, metric) == undisturbed.history(expected.info.run_id, metric)
    weights, expected_weights = network_weights(resumed), network_weights(undisturbed)
    assert weights.keys() == expected_weights.keys()
    assert all(torch.equal(value, expected_weights[name]) for name, value in weights.items())


def network_weights(command: Command) -> dict[str, torch.Tensor]:
    (version,) = command.versions()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{command.home}/mlflow.db")
        state: dict[str, torch.Tensor] = mlflow.pytorch.load_model(f"models:/{version.name}/1").state_dict()
    return state
