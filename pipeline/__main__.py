"""`python -m pipeline run|rollback|serve|stop`, for `make pipeline`, `make pipeline-serve` and `make pipeline-stop`."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from fmnist.adapters.git.command import source_name
from fmnist.apps.environment import spare_warnings
from fmnist.apps.process import exit_of, take_signals
from fmnist.apps.settings import Settings, spare_loopback
from fmnist.apps.streams import guarded_streams
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable
from pipeline.run import ROOT, document, roll_back, run_pipeline
from pipeline.service import LocalService
from pipeline.steps import StepFailed, Steps
from stack.services import StackError
from stack.supervision import refuse_earlier

# Variables of the platform's environment that are the same here. The others are addresses, which differ.
_SHARED = ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_REGISTERED_MODEL_NAME")
TAG = "local"  # no image runs here, but models and manifests record a tag


def main() -> int:
    """Run the command; return the exit code."""
    spare_warnings()
    parser = argparse.ArgumentParser(prog="python -m pipeline", description="The platform's pipeline on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run all steps from data to a tested service, which keeps running")
    run.add_argument(
        "-p",
        dest="given",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="parameter of deploy/base/pipeline.yaml, as in `argo submit`; may be repeated",
    )
    back = commands.add_parser("rollback", help="bring the previous champion back into service")
    back.add_argument("--by", required=True, help="name of the person who rolls back")
    back.add_argument("--reason", required=True, help="reason to record")
    commands.add_parser("serve", help="serve the model that the GitOps repository names")
    commands.add_parser("stop", help="stop the service")
    commands.add_parser("head", help="run the service's Ray head in the foreground, as supervisord does")
    arguments = parser.parse_args()
    take_signals()
    try:
        service = _service()
        match arguments.command:
            case "run":
                run_pipeline(_parameters(arguments.given), _steps(), service)
            case "rollback":
                roll_back(arguments.by, arguments.reason, _steps(), service)
            case "serve":
                service.begin(ROOT)
                service.follow()
                print(f"the service at {service.url} follows {source_name(service.repository)}")
            case "stop":
                print("stopped" if service.stop() else "no service ran")
            case "head":
                service.head().replace_process()
    except (StepFailed, StackError, StoreUnavailable, InvalidSetting) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InvalidSetting) else 1
    except KeyboardInterrupt as interrupt:
        word, code = exit_of(interrupt)
        print(word, file=sys.stderr)
        return code
    return 0


def _parameters(given: list[str]) -> dict[str, str]:
    """Return the value of each parameter in deploy/base/pipeline.yaml: the given one, or the default."""
    declared = {each["name"]: each for each in document("pipeline")["spec"]["arguments"]["parameters"]}
    values = {name: each.get("value", TAG) for name, each in declared.items()}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise InvalidSetting(f"-p {each} must be NAME=VALUE")
        if name not in declared:
            raise InvalidSetting(f"-p {each}: there is no parameter {name}, expected one of {', '.join(declared)}")
        if value not in declared[name].get("enum", [value]):
            raise InvalidSetting(f"-p {each}: expected one of {', '.join(declared[name]['enum'])}")
        values[name] = value
    try:
        shlex.split(values["training_args"])
    except ValueError as error:
        raise InvalidSetting(f"-p training_args={values['training_args']}: {error}") from error
    if values["approval_mode"] == "manual" and not sys.stdin.isatty():
        raise InvalidSetting("-p approval_mode=manual asks a person: run it in a terminal")
    return values


def _steps() -> Steps:
    steps = Steps(Path(os.environ["FMNIST_HOME"]) / "pipeline/runs", os.environ)
    print(f"logs and outputs of each step in {steps.directory}")
    return steps


def _service() -> LocalService:
    """Set the environment of all child processes, and return the service."""
    settings = Settings.load()
    spare_loopback()
    refuse_earlier(settings.fmnist_home / "pipeline/service.json")
    shared = document("environment")["data"]
    os.environ.update({name: os.environ.get(name) or shared[name] for name in _SHARED})
    os.environ["FMNIST_HOME"] = str(settings.fmnist_home)
    home = settings.fmnist_home / "pipeline"
    return LocalService(home, settings.gitops_repo, settings.gitops_branch, settings.gitops_manifest)


if __name__ == "__main__":
    with guarded_streams():
        sys.exit(main())
