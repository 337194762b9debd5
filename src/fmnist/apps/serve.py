"""`fmnist serve`, and the import paths for Ray Serve: `fmnist.apps.serve:app_builder` and `fmnist.apps.serve:app`.

Importing this module reads, connects and builds nothing.
"""

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fmnist.apps.model_option import ModelUri
from fmnist.apps.outputs import examples
from fmnist.apps.process import begin, leaving_at_once
from fmnist.apps.terminal import stderr, stdout
from fmnist.domain.model.errors import InvalidSetting

if TYPE_CHECKING:
    from fmnist.apps.settings import Settings

_Compute = Literal["local", "ray"]
EXAMPLES = examples(
    "fmnist serve",
    "fmnist serve --model models:/prod.fashion-mnist-classifier@champion --port 8080",
    "fmnist serve --compute ray",
    "MODEL_POLL_SECONDS=30 fmnist serve --model models:/prod.fashion-mnist-classifier@champion",
    "fmnist serve --model models:/NAME/3 --shadow models:/NAME/4",
    "curl -H 'Content-Type: image/png' --data-binary @shoe.png localhost:8000/predict",
)


def __getattr__(name: str) -> Any:
    # Ray Serve imports these by name. They are built lazily, so that `--help` stays fast.
    if name in ("app", "app_builder", "proxy_middleware"):
        from fmnist.apps import serve_application

        return serve_application.build() if name == "app" else getattr(serve_application, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def serve(
    model: ModelUri = None,
    shadow: Annotated[
        str | None,
        typer.Option(
            help="Second model, which answers the same images later; /shadow compares both. As --model.  "
            "\\[default: none]"
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 or :: means all interfaces.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    route_prefix: Annotated[str, typer.Option(help="Path prefix of all routes.")] = "/",
    compute: Annotated[
        _Compute | None,
        typer.Option(
            help="local: serve in this process; ray: serve with Ray Serve, on the cluster RAY_ADDRESS or a new local "
            "one.  \\[default: ray if RAY_ADDRESS is set, else local]"
        ),
    ] = None,
) -> None:
    """Serve a registered model over HTTP until Ctrl-C or SIGTERM."""
    settings = begin()
    if not route_prefix.startswith("/"):
        raise InvalidSetting(f"--route-prefix {route_prefix!r} must begin with /")
    if shadow is not None:
        _check_uri(shadow)
    prefix = route_prefix.rstrip("/")
    where = compute or ("ray" if settings.ray_address else "local")
    with ExitStack() as stack:
        if where == "local":
            stack.enter_context(leaving_at_once())
        with stderr().status("starting the service"), _long_lived_objects():
            container = _container(settings, where)
            url = container.address_of(host, port, prefix)
            container.find_version(uri=model)  # fails before the slow start if there is no such model
            service = container.host()
            stack.callback(_stop, service)
            service.start(model, host=host, port=port, prefix=prefix, shadow_uri=shadow)
        _tell(container, url, next(iter(settings.api_keys), None))  # pragma: no cover - runs in a child process
        service.wait()  # pragma: no cover - runs in a child process


def _check_uri(uri: str) -> None:
    """Refuse a text that is no model URI. Later, it would only switch the shadow off."""
    from fmnist.domain.model.model import ModelUri

    ModelUri.parse(uri)


def _tell(container: Any, url: str, key: str | None) -> None:  # pragma: no cover - runs in a child process
    """Say what is served, and where. With a key, the service gives the reason of a fault."""
    with container.client(url, api_key=key, direct=True) as client:
        info = client.info()
    which = info.model_uri if info.model_uri == info.desired_model else f"{info.model_uri} ({info.desired_model})"
    stdout().print(f"serving {which} at {url}", soft_wrap=True, markup=False)
    stderr().print(f"documentation {url}/docs, health {url}/health; stop with Ctrl-C", style="dim", soft_wrap=True)


def _stop(service: Any) -> None:
    with stderr().status("finishing open requests"):
        service.stop()


@contextmanager
def _long_lived_objects() -> Iterator[None]:
    """Spare the objects that the block makes from garbage collection: modules, the application and its model.

    Collections during imports take a fifth of the start. Later, they would delay requests.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _container(settings: "Settings", compute: _Compute) -> Any:
    # Only the container of Ray Serve imports Ray.
    if compute == "ray":
        from fmnist.apps.containers.serve_ray import RayServeContainer

        return RayServeContainer(settings=settings)
    from fmnist.apps.containers.serve import ServeContainer

    return ServeContainer(settings=settings)
