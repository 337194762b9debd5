"""The drift app: a service over HTTP, and the page about its traffic."""

from dependency_injector import providers

from fmnist.adapters.http.service import HttpService
from fmnist.adapters.jinja2.drift_page import render_drift
from fmnist.apps.containers.base import BaseContainer


class DriftContainer(BaseContainer):
    """`service(url)` returns a client of the service at this URL, and `render()` the function that draws the page."""

    service = providers.Factory(HttpService)
    render = providers.Object(render_drift)
