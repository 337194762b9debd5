"""`python -m stack start|status|restart|stop`, for `make stack`, `make stack-status` and `make stack-stop`."""

import argparse
import os
import sys
from pathlib import Path

from dotenv import dotenv_values

from fmnist.apps.environment import spare_warnings
from fmnist.apps.process import exit_of, take_signals
from fmnist.apps.settings import Settings, spare_loopback
from fmnist.apps.streams import guarded_streams
from fmnist.domain.model.errors import InvalidSetting
from stack.local import LocalStack
from stack.services import Service, StackError
from stack.supervision import UP, Supervisor, answers, refuse_earlier

ENV_FILE = Path(__file__).resolve().parent.parent / ".env.docker"
# Passes the file of --env-file through supervisord to the services.
_ENV_FILE_VARIABLE = "STACK_ENV_FILE"


def main() -> int:
    """Run the command; return the exit code."""
    spare_warnings()
    arguments = _parser().parse_args()
    take_signals()
    try:
        home = Settings.load().fmnist_home
        spare_loopback()
        refuse_earlier(home / "stack/processes.json")
        stack = LocalStack(home / "stack", _variables(arguments.env_file))
        # In a Git hook, these variables name another repository.
        outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment = {**outside, "FMNIST_HOME": str(home), _ENV_FILE_VARIABLE: str(arguments.env_file)}
        supervisor = Supervisor(home / "stack", environment)
        if arguments.command == "start":
            return _start(stack, supervisor)
        if arguments.command == "status":
            return _status(stack, supervisor)
        if arguments.command == "stop":
            return _stop(stack, supervisor)
        service = _named(stack, arguments.name)
        if arguments.command == "run":
            service.replace_process()
        supervisor.stop(service)
        _start_one(stack, supervisor, service)
    except (StackError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except InvalidSetting as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        word, code = exit_of(interrupt)
        print(word, file=sys.stderr)
        return code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stack", description="The platform's services on this machine.")
    default = Path(os.environ.get(_ENV_FILE_VARIABLE, ENV_FILE)).absolute()
    parser.add_argument("--env-file", type=Path, default=default, help="addresses and keys (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("start", help="start the services that do not run, in order, and wait until they answer")
    commands.add_parser("status", help="print the state, address and log of each service")
    commands.add_parser("restart", help="stop one service and start it again").add_argument("name")
    commands.add_parser("stop", help="stop the services; their data stays")
    commands.add_parser("run", help="run one service in the foreground, as supervisord does").add_argument("name")
    return parser


def _variables(file: Path) -> dict[str, str]:
    if not file.is_file():
        raise InvalidSetting(f"there is no file {file}: expected one like .env.docker")
    return {name: value for name, value in dotenv_values(file).items() if value is not None}


def _start(stack: LocalStack, supervisor: Supervisor) -> int:
    for service in stack.services():
        _start_one(stack, supervisor, service)
    print(f"logs in {supervisor.logs}")
    return 0


def _start_one(stack: LocalStack, supervisor: Supervisor, service: Service) -> None:
    print(f"{service.name:<13}", end="", flush=True)
    print("started" if supervisor.start(service) else "runs already", "at", service.address)
    stack.prepare(service)


def _status(stack: LocalStack, supervisor: Supervisor) -> int:
    healthy = True
    for service in stack.services():
        up = answers(service.address)
        state = supervisor.state(service)
        healthy = healthy and up and state in UP
        print(f"{service.name:<13}{state:<9}{service.address:<36}{'answers' if up else 'silent':<9}", end="")
        print(supervisor.log(service))
    return 0 if healthy else 1


def _stop(stack: LocalStack, supervisor: Supervisor) -> int:
    for service in reversed(stack.services()):
        print(f"{service.name:<13}{'stopped' if supervisor.stop(service) else 'did not run'}")
    supervisor.end()
    return 0


def _named(stack: LocalStack, name: str) -> Service:
    services = {service.name: service for service in stack.services()}
    if name not in services:
        raise StackError(f"there is no service {name}: expected one of {', '.join(services)}")
    return services[name]


if __name__ == "__main__":
    with guarded_streams():
        sys.exit(main())
