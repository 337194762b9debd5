"""`fmnist serve`, and the import paths for Ray Serve: `fmnist.apps.serve:app_builder` and `fmnist.apps.serve:app`.

Importing this module reads, connects and builds nothing.
"""

import signal
from typing import Annotated, Any

import typer

from fmnist.apps.outputs import examples
from fmnist.apps.process import begin
from fmnist.apps.terminal import stderr, stdout
from fmnist.domain.model.errors import InvalidSetting

EXAMPLES = examples(
    "fmnist serve",
    "fmnist serve --model models:/prod.fashion-mnist-classifier@champion --port 8080",
    "MODEL_POLL_SECONDS=30 fmnist serve --model models:/prod.fashion-mnist-classifier@champion",
    "curl -H 'Content-Type: image/png' --data-binary @shoe.png localhost:8000/predict",
)


def __getattr__(name: str) -> Any:
    # Ray Serve imports these by name. They are built lazily, so that `--help` stays fast.
    if name in ("app", "app_builder", "proxy_middleware"):
        from fmnist.apps import serve_application

        return serve_application.build() if name == "app" else getattr(serve_application, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def serve(
    model: Annotated[
        str | None,
        typer.Option(
            help="Model, as models:/NAME/VERSION or models:/NAME@ALIAS.  "
            "\\[default: newest version of the model MLFLOW_REGISTERED_MODEL_NAME]"
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 or :: means all interfaces.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    route_prefix: Annotated[str, typer.Option(help="Path prefix of all routes.")] = "/",
) -> None:
    """Serve a registered model over HTTP until Ctrl-C or SIGTERM."""
    settings = begin()
    if not route_prefix.startswith("/"):
        raise InvalidSetting(f"--route-prefix {route_prefix!r} must begin with /")
    prefix = route_prefix.rstrip("/")
    with stderr().status("starting Ray Serve"):
        from fmnist.apps.containers.serve import ServeContainer

        container = ServeContainer(settings=settings)
        url = container.address_of(host, port, prefix)
        container.find_version(uri=model)  # fails before the slow start if there is no such model
        container.start(container.application(model_uri=model), host=host, port=port, prefix=prefix)
    try:  # pragma: no cover - runs in a child process
        key = next(iter(settings.api_keys), None)  # with a key, the service gives the reason of a fault
        with container.service(url, api_key=key, direct=True) as service:
            info = service.info()
        which = info.model_uri if info.model_uri == info.desired_model else f"{info.model_uri} ({info.desired_model})"
        stdout().print(f"serving {which} at {url}", soft_wrap=True, markup=False)
        stderr().print(f"documentation {url}/docs, health {url}/health; stop with Ctrl-C", style="dim", soft_wrap=True)
        signal.pause()
    finally:  # pragma: no cover - runs in a child process
        with stderr().status("finishing open requests"):
            container.stop()
