"""`python -m stack start|status|stop`, which is `make stack`, `make stack-status` and `make stack-stop`."""

import argparse
import sys
from pathlib import Path

from dotenv import dotenv_values

from fmnist.apps.process import exit_of, take_signals
from fmnist.apps.settings import Settings
from fmnist.apps.streams import guarded_streams
from fmnist.domain.model.errors import InvalidSetting
from stack.local import LocalStack
from stack.process import StackError

ENV_FILE = Path(__file__).resolve().parent.parent / ".env.docker"


def main() -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stack", description="The platform's services on this machine.")
    parser.add_argument("command", choices=["start", "status", "stop"])
    parser.add_argument("--env-file", type=Path, default=ENV_FILE, help="addresses and keys; default: %(default)s")
    arguments = parser.parse_args()
    variables = {name: value for name, value in dotenv_values(arguments.env_file).items() if value is not None}
    take_signals()
    try:
        stack = LocalStack(Settings.load().fmnist_home / "stack", variables)
        return {"start": _start, "status": _status, "stop": _stop}[arguments.command](stack)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except InvalidSetting as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        word, code = exit_of(interrupt)
        print(word, file=sys.stderr)
        return code


def _start(stack: LocalStack) -> int:
    for service in stack.services():
        print(f"{service.name:<13}", end="", flush=True)
        print("started" if stack.start(service) else "runs already", "at", service.address)
    print(f"logs in {stack.logs}")
    return 0


def _status(stack: LocalStack) -> int:
    states = [stack.state(service) for service in stack.services()]
    for state in states:
        if state.process is None:
            how = f"down, but {state.orphans} of its processes are left" if state.orphans else "down"
        else:
            how = f"{'up' if state.healthy else 'does not answer'}, process {state.process.pid}"
        print(f"{state.service.name:<13}{state.service.address:<36}{how}; {state.log}")
    return 0 if all(state.healthy for state in states) else 1


def _stop(stack: LocalStack) -> int:
    for service in reversed(stack.services()):
        print(f"{service.name:<13}{'stopped' if stack.stop(service) else 'did not run'}")
    return 0


if __name__ == "__main__":
    with guarded_streams():
        sys.exit(main())
