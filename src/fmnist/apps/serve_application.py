"""What Ray Serve builds and calls, under the names that `fmnist.apps.serve` has for it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from fmnist.apps.containers.serve import ServeContainer
from fmnist.apps.settings import load_environment


class ServeArguments(BaseModel):
    """What `serve run fmnist.apps.serve:app_builder` and a deployment's `args` may say."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_uri: str | None = Field(
        default=None, description="models:/NAME/VERSION or models:/NAME@ALIAS; the newest registered version by default"
    )


def app_builder(arguments: ServeArguments) -> Any:
    """Build the Serve application; `user_config.model_uri` of the deployment overrules the argument."""
    return ServeContainer(settings=load_environment()).application(model_uri=arguments.model_uri)


def build() -> Any:
    """Build the application with nothing said, as `serve build` wants it."""
    return app_builder(ServeArguments())


def proxy_middleware() -> list[Any]:
    """Return what guards Serve's HTTP proxy: name it in RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH of a cluster."""
    middleware: list[Any] = ServeContainer(settings=load_environment()).proxy_middleware()
    return middleware
