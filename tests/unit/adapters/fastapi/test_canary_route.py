"""`GET /canary`: the document, and who may read it."""

from dataclasses import replace

from fmnist.domain.model.traffic.canary_report import ArmReport, CanaryReport
from fmnist.domain.model.traffic.trial import Arm
from tests.unit.adapters.fastapi.support import SETTINGS, GreyServing, Service, grey_model


def test_document_has_both_models() -> None:
    serving = GreyServing(grey_model())
    arms = [ArmReport.of(f"models:/dev.greys/{version}", Arm(failed=version), None, None) for version in (3, 8)]
    serving.trial = CanaryReport(state="running", percent=25, champion=arms[0], challenger=arms[1])
    document = Service(serving).get("/canary").json()
    assert (document["state"], document["percent"], document["champion"]["failed"]) == ("running", 25, 3)
    assert document["challenger"]["model_uri"] == "models:/dev.greys/8"


def test_without_a_canary_the_document_says_so() -> None:
    document = Service(GreyServing(grey_model())).get("/canary").json()
    assert (document["state"], document["percent"], document["challenger"]) == ("none", 0, None)


def test_canary_needs_a_key_where_there_are_keys() -> None:
    service = Service(GreyServing(grey_model()), replace(SETTINGS, api_keys=("s3cr3t",)))
    assert service.get("/canary").problem == (401, "unauthorized")
    assert service.get("/canary", authorization="Bearer s3cr3t").status == 200
