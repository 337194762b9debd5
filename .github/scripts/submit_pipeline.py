"""Submits `fmnist-pipeline` to Argo's server, with the inputs of the GitHub workflow under the same names.

It reads INPUTS (a JSON object), ARGO_SERVER, ARGO_NAMESPACE and ARGO_TOKEN from the environment, and prints the
workflow's name. It uses the standard library only, because the runner has nothing else.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

TEMPLATE = "fmnist-pipeline"
_TIMEOUT_SECONDS = 60


def parameters(inputs: Mapping[str, object]) -> list[str]:
    """Return the inputs in Argo's form, `name=value`. A boolean is `true` or `false`."""
    return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in inputs.items()]


def submit(environment: Mapping[str, str]) -> str:
    """Submit the pipeline, and return the workflow's name.

    Raises:
        KeyError: a variable is not set.
        urllib.error.URLError: the server cannot be reached, or refuses the request.
    """
    server, namespace = environment["ARGO_SERVER"].rstrip("/"), environment["ARGO_NAMESPACE"]
    body = {
        "resourceKind": "WorkflowTemplate",
        "resourceName": TEMPLATE,
        "submitOptions": {"parameters": parameters(json.loads(environment["INPUTS"]))},
    }
    request = urllib.request.Request(  # noqa: S310 - the address is the operator's
        f"{server}/api/v1/workflows/{namespace}/submit",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {environment['ARGO_TOKEN']}", "Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
        workflow: dict[str, Any] = json.load(answer)
    return str(workflow["metadata"]["name"])


def main() -> int:
    """Submit the pipeline as the environment says; return the exit code."""
    unset = [name for name in ("INPUTS", "ARGO_SERVER", "ARGO_NAMESPACE", "ARGO_TOKEN") if not os.environ.get(name)]
    if unset:
        sys.stderr.write(f"error: set {', '.join(unset)} in the GitHub environment `training`\n")
        return 2
    if "@" in os.environ["ARGO_SERVER"]:
        sys.stderr.write("error: ARGO_SERVER must hold no user or password: put the token into ARGO_TOKEN\n")
        return 2
    try:
        name = submit(os.environ)
    except urllib.error.HTTPError as error:
        reason = error.read().decode(errors="replace")[:2000]
        sys.stderr.write(f"error: {os.environ['ARGO_SERVER']} refused {TEMPLATE} with {error.code}: {reason}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"error: {os.environ['ARGO_SERVER']} cannot be reached: {error}\n")
        return 1
    sys.stdout.write(f"submitted {name} to {os.environ['ARGO_NAMESPACE']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
