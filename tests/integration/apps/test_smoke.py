"""`fmnist smoke` against the HTTP application with a trained model, over a real socket."""

import json
from dataclasses import replace

import pytest

from fmnist.domain.services.serving.load import ServedModel
from tests.integration.apps.conftest import Trained
from tests.integration.apps.here import Here
from tests.integration.apps.toy_service import SETTINGS, OneModel, service

LIMIT = {"REQUEST_MAX_LENGTH": "40"}


def test_good_service_passes_below_its_prefix(there: Here, model: ServedModel) -> None:
    with service(OneModel(model)) as url:
        code, out, err = there("smoke", url, **LIMIT)
    assert (code, err) == (0, ""), out
    assert out.startswith(f"{url}\npass  ready ")
    assert "FAIL" not in out
    assert out.rstrip().endswith("checks passed")
    assert max(map(len, out.splitlines())) <= 80


def test_report_is_json_for_programs(there: Here, trained: Trained, model: ServedModel) -> None:
    with service(OneModel(model)) as url:
        code, out, _ = there("smoke", url, "--json", "--images", "7", **LIMIT)
    report = json.loads(out)
    assert (code, report["passed"], report["url"]) == (0, True, url)
    assert report["models"] == [trained.result["model_uri"]]
    assert report["data_version"] == "fashion-mnist-v1.0.0"
    assert {check["name"] for check in report["checks"]} >= {"ready", "model", "JSON 28x28", "latency", "one model"}
    assert [latency["images"] for latency in report["latencies"]] == [1, 7]


def test_failed_check_is_shown_and_gives_exit_code_1(there: Here) -> None:
    with service(OneModel(None)) as url:
        code, out, _ = there("smoke", url)
    assert code == 1
    assert "FAIL  ready  GET /health/ready returned 503 (not_ready), expected 200" in out
    assert out.rstrip().endswith("failed: ready")


def test_key_comes_from_the_environment(there: Here, model: ServedModel) -> None:
    with service(OneModel(model), replace(SETTINGS, api_keys=("secret",))) as url:
        code, out, _ = there("smoke", url, **LIMIT, FMNIST_API_KEY="secret")
        assert code == 0, out
        code, out, _ = there("smoke", url, "--api-key", "wrong", **LIMIT, FMNIST_API_KEY="secret")
        assert code == 1
    assert "secret" not in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["localhost:8000"], "'localhost:8000' is not the URL of a service: expected, for example, http://"),
        (["http://127.0.0.1:1", "--api-key", "a b"], "the API key must have only visible ASCII characters"),
        (["http://127.0.0.1:1", "--api-key", ""], "the API key must have only visible ASCII characters"),
        (["http://127.0.0.1:1", "--model", "models:/a@b"], "--model models:/a@b names no version"),
        (["http://127.0.0.1:1", "--model", "best"], "model URI 'best' must be models:/NAME/VERSION"),
    ],
)
def test_unusable_url_or_key_is_bad_input(there: Here, arguments: list[str], complaint: str) -> None:
    assert complaint in there.refused("smoke", *arguments)


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize("password", ["s3cret", "s3cret'w", "s3cret/w", "s3cret w", "s3cret%40"])
def test_password_in_the_url_is_sent_and_not_shown(there: Here, password: str, form: tuple[str, ...]) -> None:
    code, out, err = there("smoke", f"http://bot:{password}@127.0.0.1:9/toy", *form, LOG_LEVEL="DEBUG")
    assert code == 1
    assert "http://127.0.0.1:9/toy" in out
    assert "Connection refused" in out
    assert "s3cret" not in out + err


def test_registry_with_the_service_s_data_is_needed(there: Here, trained: Trained, model: ServedModel) -> None:
    with service(OneModel(model)) as url:
        line = there.refused("smoke", url, code=1, DVC_REPO_URL=str(trained.command.home / "absent.git"))
    assert "absent.git" in line
