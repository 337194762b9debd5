"""The smoke app: a service over HTTP, and the data registry that has pictures for it."""

from dependency_injector import providers

from fmnist.adapters.http.service import Answers, HttpService
from fmnist.apps.containers.base import BaseContainer

# The container picks the adapter; who is given a service names its type from here.
__all__ = ["Answers", "HttpService", "SmokeContainer"]


class SmokeContainer(BaseContainer):
    """`service(url)` reaches a service."""

    service = providers.Factory(HttpService)
