"""`GET /drift`: the document, and who may read it."""

from dataclasses import replace

from fmnist.domain.model.traffic.sketch import EDGES, Statistic
from fmnist.testing.data import toy_sketch
from tests.unit.adapters.fastapi.support import SETTINGS, GreyServing, Service, grey_model


def test_document_has_verdict_distances_and_histograms() -> None:
    serving = GreyServing(grey_model(reference=toy_sketch(500)))
    serving.traffic = toy_sketch(200, seed=1)
    document = Service(serving).get("/drift").json()
    assert (document["model_uri"], document["images"]) == ("models:/dev.greys/3", 200)
    assert (document["verdict"], document["reason"], document["reference_images"]) == ("ok", None, 500)
    assert (document["since"], document["until"]) == ("2021-05-03T00:00Z", "2021-05-03T00:05Z")
    expected = document["expected_accuracy"]
    assert (expected["value"], expected["low"], expected["high"]) == serving.traffic.expected_accuracy()
    assert "overconfident" in expected["limit"]
    assert set(document["statistics"]) == set(Statistic)
    for name, each in document["statistics"].items():
        statistic = Statistic(name)
        assert 0 <= each["distance"] <= each["chance"] < 1
        assert each["edges"] == EDGES[statistic].tolist()
        assert each["window"] == list(serving.traffic.counts[statistic])
        assert each["reference"] == list(toy_sketch(500).counts[statistic])


def test_model_without_a_reference_has_no_verdict() -> None:
    serving = GreyServing(grey_model())
    document = Service(serving).get("/drift").json()
    assert (document["verdict"], document["images"], document["expected_accuracy"]) == ("unknown", 0, None)
    assert document["reason"].startswith("no reference")
    assert document["statistics"]["energy"]["distance"] is None


def test_without_a_model_there_is_no_window() -> None:
    assert Service(GreyServing()).get("/drift").problem == (503, "not_ready")


def test_drift_needs_a_key_where_there_are_keys() -> None:
    service = Service(GreyServing(grey_model()), replace(SETTINGS, api_keys=("s3cr3t",)))
    assert service.get("/drift").problem == (401, "unauthorized")
    assert service.get("/drift", authorization="Bearer s3cr3t").status == 200


def test_drift_can_be_switched_off() -> None:
    assert Service(GreyServing(grey_model()), replace(SETTINGS, has_drift=False)).get("/drift").problem[0] == 404
