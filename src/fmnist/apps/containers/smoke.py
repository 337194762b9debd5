"""The smoke app: a service over HTTP, and the data registry that has pictures for it."""

from dependency_injector import providers

from fmnist.adapters.http.service import Answers, HttpService
from fmnist.apps.containers.base import BaseContainer

__all__ = ["Answers", "HttpService", "SmokeContainer"]


class SmokeContainer(BaseContainer):
    """`service(url)` reaches a service."""

    service = providers.Factory(HttpService)
