"""The option `--api-key` of the commands that ask a service."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fmnist.apps.settings import Settings

ApiKey = Annotated[str | None, typer.Option(help="API key of the service.  \\[default: value of FMNIST_API_KEY]")]


def key_of(api_key: str | None, settings: "Settings") -> str | None:
    """Return the key of the option, else that of the environment.

    An empty key stays a key, and is refused: a test without one would not notice an open service.
    """
    secret = settings.fmnist_api_key
    return api_key if api_key is not None or secret is None else secret.get_secret_value()
