"""`fmnist serve`, and what Ray Serve's own commands take: `fmnist.apps.serve:app_builder` and `fmnist.apps.serve:app`.

Nothing is read or connected before one of them is asked for.
"""

import signal
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, Field

from fmnist.apps.process import begin

EXAMPLES = (
    "[bold]Examples[/]\n\n"
    "fmnist serve\n\n"
    "fmnist serve --model models:/prod.fashion-mnist-classifier@champion --port 8080\n\n"
    "MODEL_POLL_SECONDS=30 fmnist serve --model models:/prod.fashion-mnist-classifier@champion\n\n"
    "curl -H 'Content-Type: image/png' --data-binary @shoe.png localhost:8000/predict"
)


class ServeArguments(BaseModel):
    """What `serve run fmnist.apps.serve:app_builder` and a deployment's `args` may say."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_uri: str | None = Field(
        default=None, description="models:/NAME/VERSION or models:/NAME@ALIAS; the newest registered version by default"
    )


def app_builder(arguments: ServeArguments) -> Any:
    """Build the Serve application; `user_config.model_uri` of the deployment overrules the argument."""
    from fmnist.apps.containers.serve import ServeContainer
    from fmnist.apps.settings import load_environment

    return ServeContainer(settings=load_environment()).application(model_uri=arguments.model_uri)


def proxy_middleware() -> list[Any]:
    """Return what guards Serve's HTTP proxy: name it in RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH of a cluster."""
    from fmnist.apps.containers.serve import ServeContainer
    from fmnist.apps.settings import load_environment

    middleware: list[Any] = ServeContainer(settings=load_environment()).proxy_middleware()
    return middleware


def __getattr__(name: str) -> Any:
    # `serve build` wants an application by this name, and importing this module must not build one.
    if name == "app":
        return app_builder(ServeArguments())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def serve(
    model: Annotated[
        str | None,
        typer.Option(
            help="models:/NAME/VERSION or models:/NAME@ALIAS.  \\[default: newest of MLFLOW_REGISTERED_MODEL_NAME]"
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every interface.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    route_prefix: Annotated[str, typer.Option(help="Path that all routes begin with.")] = "/",
) -> None:
    """Serve a registered model over HTTP until Ctrl-C or SIGTERM."""
    settings = begin()
    from fmnist.apps.containers.serve import ServeContainer
    from fmnist.apps.terminal import stderr, stdout

    container = ServeContainer(settings=settings)
    with stderr().status("starting Ray Serve"):
        version = container.wanted_model(uri=model)
        application = container.application(model_uri=model)
        container.start(application, host=host, port=port, route_prefix=route_prefix)
    url = f"http://{host}:{port}{route_prefix.rstrip('/')}"
    which = version.uri if model == version.uri else f"{version.uri}, {model or 'the newest version'},"
    stdout().print(f"serving {which} at {url}", soft_wrap=True)
    stderr().print(f"[dim]documentation {url}/docs, health {url}/health; Ctrl-C ends it[/]", soft_wrap=True)
    try:
        signal.pause()
    finally:
        with stderr().status("answering what is in flight"):
            container.stop()
