"""A search for a better recipe: trials within a budget, then the best on several seeds. Nothing here reads `test`."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from functools import partial

from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import FmnistError, ReportFailed
from fmnist.domain.model.training.run import Lineage, TrainingSpec
from fmnist.domain.model.tuning.budget import Plan
from fmnist.domain.model.tuning.result import RECIPE_FILE, RenderTuning, TuningResult, TuningTask
from fmnist.domain.model.tuning.trial import Trial, TrialState
from fmnist.domain.services.training.ending import mark_ended
from fmnist.domain.services.training.run import REPORT_FOLDER, Provenance
from fmnist.domain.services.tuning.crew import work_side_by_side
from fmnist.domain.services.tuning.trials import TrialRunner
from fmnist.ports.compute import Compute
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.study import Study
from fmnist.ports.tracker import RunStatus, Tracker

logger = logging.getLogger(__name__)

STUDY_TAG, SECONDS_METRIC = "study", "tuning_seconds"

OpenStudy = Callable[[str, TuningTask], Study]
"""Opens the study of this name, or creates it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedRecipe:
    """The result of a study, and its files: the recipe, and the report if it can be drawn."""

    result: TuningResult
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Tuning:
    """Searches, compares and reports. The same task again continues its study.

    Attributes:
        open_study: opens a study in its storage.
        render: draws the report.
        at_once: number of trials that the prepared compute can train at the same time.
        discard: removes what the compute keeps of a run.
        uninterrupted, lock: as in `TrainingRun`; the lock is for the name of a study.
    """

    registry: DataRegistry
    tracker: Tracker
    compute: Compute
    open_study: OpenStudy
    render: RenderTuning
    at_once: Callable[[], int] = lambda: 1
    discard: Callable[[str], object] = lambda _: None
    uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext
    lock: Callable[[str], AbstractContextManager[object]] = nullcontext
    clock: Callable[[], float] = time.monotonic

    def tune(self, task: TuningTask, provenance: Provenance, on_change: Callable[[Trial], object]) -> TunedRecipe:
        """Search within the budget, compare the best with the starting recipe, and report.

        `on_change` gets every trial of the study: those of earlier processes first, the others at each epoch.

        Raises:
            BadInput: the task is not valid, or another process is at work on this study; no run was opened.
            TrainingFailed: the starting recipe cannot be trained.
            FmnistError: the study cannot continue; its run and those of its trials are marked FAILED.
            KeyboardInterrupt: the study was interrupted; its run and those of its trials are marked KILLED.
        """
        dataset = self.registry.resolve(task.data_version)
        name, spec = task.study(dataset), TrainingSpec(recipe=task.start)
        lineage = Lineage(
            **asdict(provenance),
            dvc_data_version=dataset.version,
            dvc_data_sha=dataset.commit,
            data_digest=dataset.digest,
        )
        with self.lock(name):
            self.compute.prepare(spec, dataset)
            study = self.open_study(name, task)
            with self._study_run(name, lineage, dataset) as (run_id, earlier):
                began = self.clock()
                runner = TrialRunner(
                    compute=self.compute,
                    study=study,
                    tracker=self.tracker,
                    dataset=dataset,
                    study_run=(run_id, name),
                    # Without the workflow, whose run has a model.
                    tags={tag: value for tag, value in lineage.tags().items() if tag != "argo_workflow_uid"},
                    spec=lambda trial: TrainingSpec(recipe=task.recipe_of(trial), seed=trial.seed),
                    on_change=on_change,
                    discard=self.discard,
                    clock=self.clock,
                )
                for trial in study.trials():
                    on_change(trial)
                try:
                    self._spend(task, runner, lambda: earlier + self.clock() - began)
                finally:
                    spent = earlier + self.clock() - began
                    with suppress(FmnistError):  # the error of the study matters more
                        self.tracker.log(run_id, metrics={SECONDS_METRIC: spent}, step=int(spent))
                return self._report(
                    TuningResult(
                        task=task,
                        study=name,
                        data_version=dataset.version,
                        run_id=run_id,
                        trials=study.trials(),
                        importance=study.importance(),
                        seconds=spent,
                    )
                )

    @contextmanager
    def _study_run(self, name: str, lineage: Lineage, dataset: DatasetVersion) -> Iterator[tuple[str, float]]:
        """Open the study's run, and yield its id and the seconds of earlier processes."""
        run_id, seconds = None, 0.0
        try:
            with self.uninterrupted():
                if found := self.tracker.find({STUDY_TAG: name}):
                    run_id, history = found[0].run_id, found[0].history.get(SECONDS_METRIC, ())
                    seconds = history[-1][1] if history else 0.0
                    self.tracker.set_status(run_id, RunStatus.RUNNING)
                else:
                    run_id = self.tracker.start(name, {STUDY_TAG: name, **lineage.tags()}, dataset)
            yield run_id, seconds
            self.tracker.set_status(run_id, RunStatus.FINISHED)
        except BaseException as error:
            if run_id is not None:
                with self.uninterrupted():
                    mark_ended(self.tracker, run_id, error)
            raise

    def _spend(self, task: TuningTask, runner: TrialRunner, spent: Callable[[], float]) -> None:
        """Train what the budget allows: the search, then the finalists and the start on several seeds."""
        at_once = self.at_once()

        def plan() -> Plan:
            ended = [trial for trial in runner.study.trials() if trial.state is not TrialState.RUNNING]
            # A trial that an earlier process left is not begun: the study proposes it again.
            return Plan(task.budget, [*ended, *runner.running.values()], spent(), at_once)

        def next_search() -> Trial | None:
            return runner.study.ask() if plan().may_search else None

        def next_repeat() -> Trial | None:
            return plan().next_repeat(finalists)

        try:
            work_side_by_side(lambda: runner.work(next_search), at_once, runner.stop)
            finalists = plan().finalists()
            work_side_by_side(lambda: runner.work(next_repeat), at_once, runner.stop)
        except BaseException as error:
            with self.uninterrupted():
                # At once: each may take until its limit, and a process that is told to end has little time.
                with ThreadPoolExecutor(at_once) as threads:
                    list(threads.map(partial(mark_ended, self.tracker, reason=error), list(runner.running)))
                self.compute.close()
            raise

    def _report(self, result: TuningResult) -> TunedRecipe:
        """Draw the report, and log all files to the study's run. A report that cannot be drawn is only a warning."""
        files = {RECIPE_FILE: result.recipe_toml().encode()}
        try:
            files |= self.render(result)
        except ReportFailed as error:
            logger.warning("the study %s has no report: %s", result.study, error)
        for path, content in files.items():
            self.tracker.log_artifact(result.run_id, f"{REPORT_FOLDER}/{path}", content)
        return TunedRecipe(result=result, files=files)
