"""`python -m pipeline run|serve|stop`, which is `make pipeline`, `make pipeline-serve` and `make pipeline-stop`."""

import argparse
import os
import sys
import time
import uuid
from pathlib import Path

from fmnist.adapters.git.command import source_name
from fmnist.apps.process import exit_of, take_signals
from fmnist.apps.settings import Settings
from fmnist.apps.streams import guarded_streams
from fmnist.domain.model.addresses import Address
from fmnist.domain.model.errors import InvalidSetting
from pipeline.dag import Outcome, Step, Walk
from pipeline.expressions import BadInput, PipelineError, Status
from pipeline.service import LocalService
from pipeline.steps import Steps
from pipeline.templates import Library, parameters
from stack.process import StackError

ROOT = Path(__file__).resolve().parent.parent
# What the platform's environment says that is the same here. The rest of it says where things are, and they are here.
_SHARED = ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_REGISTERED_MODEL_NAME", "GITOPS_BRANCH", "GITOPS_MANIFEST")
# Images are not run here; models and manifests tell that.
_TAG = "local"


def main() -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline", description="The platform's pipeline on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="walk a workflow; the service that it deploys stays")
    run.add_argument("workflow", nargs="?", default="fmnist-pipeline", help="WorkflowTemplate; default: %(default)s")
    run.add_argument(
        "-p", dest="parameters", action="append", default=[], metavar="NAME=VALUE", help="as Argo takes it"
    )
    commands.add_parser("serve", help="bring into service what the GitOps repository says")
    commands.add_parser("stop", help="stop the service")
    arguments = parser.parse_args()
    take_signals()
    try:
        if arguments.command == "run":
            return _run(arguments.workflow, arguments.parameters)
        return {"serve": _serve, "stop": _stop}[arguments.command]()
    except (PipelineError, StackError, InvalidSetting) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, (BadInput, InvalidSetting)) else 1
    except KeyboardInterrupt as interrupt:
        word, code = exit_of(interrupt)
        print(word, file=sys.stderr)
        return code


def _run(workflow: str, given: list[str]) -> int:
    library = Library.render(ROOT / "deploy/base")
    library.check(workflow)
    home, service = _begin(library)
    library = library.replace("ConfigMap", "fmnist-parameters", service_url=service.url)
    if malformed := [each for each in given if "=" not in each]:
        raise BadInput(f"-p {malformed[0]} must be NAME=VALUE")
    declared = parameters(library.get("WorkflowTemplate", workflow)["spec"], "arguments")
    values = {each["name"]: _TAG for each in declared if each["name"].endswith("_image_tag")}
    values |= dict(each.split("=", 1) for each in given)

    uid = str(uuid.uuid4())
    steps, report = Steps(home / "runs" / uid, os.environ), _Report()

    def run(step: Step) -> Outcome:
        report.begin(step.name)
        try:
            outcome = steps.run(step)
            if "revision" in outcome.outputs:  # it has deployed; on a cluster, a controller would follow now
                service.follow()
        except (PipelineError, StackError) as error:
            return Outcome(Status.FAILED, message=str(error))
        return outcome

    print(f"{workflow} {uid}, logs in {home / 'runs' / uid}")
    outcome = Walk(library, run, report.end).workflow(workflow, uid, values)
    report.summarize(outcome)
    if service.runs:
        print(f"the service at {service.url} stays until `make pipeline-stop`")
    return 0 if outcome.status is Status.SUCCEEDED else 1


def _serve() -> int:
    _, service = _begin(Library.render(ROOT / "deploy/base"))
    service.follow()
    print(f"the service at {service.url} follows {source_name(service.repository)}")
    return 0


def _stop() -> int:
    print("stopped" if LocalService(_state_directory() / "pipeline", Address(""), "", "").stop() else "no service ran")
    return 0


def _begin(library: Library) -> tuple[Path, LocalService]:
    """Settle the environment of all that is started, and make what it needs."""
    state = _state_directory()
    shared = library.get("ConfigMap", "fmnist-environment")["data"]
    os.environ.update({name: os.environ.get(name) or shared[name] for name in _SHARED}, FMNIST_HOME=str(state))
    repository = Address(os.environ.get("GITOPS_REPO_URL") or str(state / "gitops.git"))
    service = LocalService(state / "pipeline", repository, os.environ["GITOPS_BRANCH"], os.environ["GITOPS_MANIFEST"])
    service.begin(ROOT)
    return state / "pipeline", service


def _state_directory() -> Path:
    return Settings.load().fmnist_home


class _Report:
    """What a person sees: each step as it goes, and all of them at the end."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, Outcome, float]] = []
        self._began = time.monotonic()
        self._current = ""

    def begin(self, name: str) -> None:
        print(f"{name:<28}", end="", flush=True)
        self._current = name

    def end(self, name: str, outcome: Outcome, seconds: float) -> None:
        self._rows.append((name, outcome, seconds))
        if name == self._current:
            print(f"{outcome.status:<10} {seconds:6.1f} s  {outcome.message}", flush=True)

    def summarize(self, outcome: Outcome) -> None:
        print(f"\n{'step':<28}{'outcome':<10} {'seconds':>7}")
        for name, ended, seconds in self._rows:
            print(f"{name:<28}{ended.status:<10} {seconds:7.1f}")
        print(f"{'all':<28}{outcome.status:<10} {time.monotonic() - self._began:7.1f}")
        for name, ended, _ in self._rows:
            if ended.outputs.get("promoted") == "false":
                print(f"{name} said no, and what is served stays: {ended.message}")


if __name__ == "__main__":
    with guarded_streams():
        sys.exit(main())
