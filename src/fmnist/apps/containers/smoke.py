"""The smoke app: a service over HTTP, and the data registry with images to send."""

from dependency_injector import providers

from fmnist.adapters.http.service import Answers, HttpService
from fmnist.apps.containers.base import BaseContainer

# Other modules take these types from here, because only containers import adapters.
__all__ = ["Answers", "HttpService", "SmokeContainer"]


class SmokeContainer(BaseContainer):
    """`service(url)` returns a client of the service at this URL."""

    service = providers.Factory(HttpService)
