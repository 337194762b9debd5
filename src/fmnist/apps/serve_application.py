"""The application that Ray Serve builds. `fmnist.apps.serve` exports these names."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from fmnist.apps.containers.serve_ray import RayServeContainer
from fmnist.apps.settings import load_environment


class ServeArguments(BaseModel):
    """Arguments of `serve run fmnist.apps.serve:app_builder`, and `args` of a deployment."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_uri: str | None = Field(
        default=None, description="models:/NAME/VERSION or models:/NAME@ALIAS; the newest registered version by default"
    )


def app_builder(arguments: ServeArguments) -> Any:
    """Build the Serve application; `user_config.model_uri` of the deployment overrides the argument."""
    return RayServeContainer(settings=load_environment()).application(model_uri=arguments.model_uri)


def build() -> Any:
    """Build the application without arguments, for `serve build`."""
    return app_builder(ServeArguments())


def proxy_middleware() -> list[Any]:
    """Return middleware for Serve's HTTP proxy; set RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH to its import path."""
    middleware: list[Any] = RayServeContainer(settings=load_environment()).proxy_middleware()
    return middleware
