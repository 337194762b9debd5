"""`GET /shadow`: the document, and who may read it."""

from dataclasses import replace

import numpy as np

from fmnist.domain.model.traffic.agreement import Agreement
from fmnist.domain.model.traffic.shadow_report import ShadowReport, ShadowState
from tests.unit.adapters.fastapi.support import SETTINGS, GreyServing, Service, grey_model


def test_document_has_the_comparison() -> None:
    serving, rows = GreyServing(grey_model()), np.eye(10, dtype=np.float32)
    serving.compared = ShadowReport.of(
        Agreement.of(rows, rows[::-1], seconds=0.02, shadow_seconds=0.01),
        state=ShadowState.OFF,
        reason="it hangs",
        model_uri="models:/dev.greys/3",
        shadow_uri="models:/dev.greys/8",
    )
    document = Service(serving).get("/shadow").json()
    assert (document["state"], document["reason"]) == ("off", "it hangs")
    assert (document["images"], document["agreement"]["value"]) == (10, 0)
    assert document["classes"][0] == {"class_name": "T-shirt/top", "images": 1, "agreed": 0}
    assert document["model"] == {"confidence": 1, "milliseconds": 2}
    assert document["shadow"] == {"confidence": 1, "milliseconds": 1}


def test_without_a_shadow_the_document_says_so() -> None:
    document = Service(GreyServing(grey_model())).get("/shadow").json()
    assert (document["state"], document["shadow_uri"], document["images"]) == ("none", None, 0)


def test_shadow_needs_a_key_where_there_are_keys() -> None:
    service = Service(GreyServing(grey_model()), replace(SETTINGS, api_keys=("s3cr3t",)))
    assert service.get("/shadow").problem == (401, "unauthorized")
    assert service.get("/shadow", authorization="Bearer s3cr3t").status == 200
