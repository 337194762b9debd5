"""The smoke app: a service over HTTP, and the data registry that has pictures for it."""

from dependency_injector import providers

from fmnist.adapters.http.endpoint import HttpEndpoint
from fmnist.adapters.pillow.encoding import encode_picture
from fmnist.apps.containers.base import BaseContainer
from fmnist.domain.services.smoke import SmokeTest


class SmokeContainer(BaseContainer):
    """`endpoint(url)` reaches a service, and `smoke_test(ask=..., plan=...)` tests it."""

    endpoint = providers.Factory(HttpEndpoint)
    smoke_test = providers.Factory(
        SmokeTest, registry=BaseContainer.data_registry, encode_picture=providers.Object(encode_picture)
    )
