"""What the page shows of the model that answers: facts, samples, and how usual an image is."""

import re
from base64 import b64encode
from datetime import UTC, datetime
from urllib.parse import quote

from fmnist.adapters.fastapi.pages.documents import Accuracy, Energy, ModelDocument, Samples
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.card import accuracy_in
from fmnist.domain.model.evaluation.robustness import energies
from fmnist.domain.model.traffic.sketch import EDGES, Sketch, Statistic
from fmnist.domain.services.serving.load import ServedModel

_RUN = re.compile(r"[0-9A-Za-z-]+")


def describe(model: ServedModel, tracker_url: str | None) -> ModelDocument:
    """Describe the model."""
    info, package = model.prediction.info, model.package
    return {
        "model_uri": model.version.uri,
        "architecture": info.architecture,
        "data_version": info.data_version,
        "registered": _time(model.created),
        "since": _time(model.since),
        "class_names": list(info.class_names),
        "accuracy": _accuracy(package.card),
        "card": package.card,
        "run_url": _run_url(model.version.run_id, tracker_url),
        "has_reference": package.reference is not None,
    }


def samples(model: ServedModel) -> Samples:
    """Return the golden images of the model; none of a model that an earlier release kept."""
    golden = model.package.golden
    images = [] if golden is None else [b64encode(image.tobytes()).decode() for image in golden]
    return {"model_uri": model.version.uri, "images": images}


def energy(model: ServedModel, images: Images) -> Energy:
    """Return the energy of the first image of a batch, and compare it with the model's reference."""
    value = float(energies(model.prediction.logits(images[:1]))[0])
    reference = model.package.reference
    return {
        "model_uri": model.version.uri,
        "energy": round(value, 3),
        "share": None if reference is None else share_up_to(value, reference),
    }


def share_up_to(value: float, reference: Sketch) -> float:
    """Return the share of the reference's images whose energy is at most `value`, by bins of half a unit."""
    counts = reference.counts[Statistic.ENERGY]
    # The bin of the value counts as a whole, so that an image like the most usual ones never seems strange.
    bins = int(EDGES[Statistic.ENERGY].searchsorted(value, "right"))
    return round(sum(counts[: max(1, bins)]) / reference.images, 4)


def _accuracy(card: str | None) -> Accuracy | None:
    found = None if card is None else accuracy_in(card)
    return None if found is None else {"split": found[0], "text": found[1]}


def _run_url(run_id: str, tracker_url: str | None) -> str | None:
    if tracker_url is None or not _RUN.fullmatch(run_id):
        return None
    return f"{tracker_url.rstrip('/')}/#/runs/{quote(run_id)}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
