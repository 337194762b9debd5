import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from stack.services import HOST, ObjectStore, free_ports, tracking_server
from tests.integration.services import running


@dataclass(frozen=True)
class GuardedMlflow:
    """An MLflow server with basic auth, and its only user."""

    uri: str
    username: str
    password: str = field(repr=False)
    records: Path
    bucket: str = "guarded"


@pytest.fixture(scope="session")
def guarded_mlflow(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedMlflow]:
    directory = tmp_path_factory.mktemp("guarded-mlflow")
    username, password = "someone", f"password-{secrets.token_hex(16)}"
    config = directory / "auth.ini"
    config.write_text(
        f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{directory}/users.db\n"
        f"admin_username = {username}\nauthorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    object_store.make_buckets([GuardedMlflow.bucket])
    (port,) = free_ports(1)
    service = tracking_server(port, directory, object_store, f"s3://{GuardedMlflow.bucket}/artifacts")
    guarded = replace(
        service,
        command=(*service.command, "--app-name", "basic-auth"),
        environment={
            **service.environment,
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
            "MLFLOW_AUTH_ADMIN_PASSWORD": password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
        },
    )
    with running(guarded, directory):
        yield GuardedMlflow(f"http://{HOST}:{port}", username, password, directory / "mlflow.db")
