"""Which model a replica answers with: desired, loaded, checked, warmed, and only then swapped in.

A reload that fails anywhere leaves the model that serves as it is. Nothing here knows of HTTP or of Ray.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fmnist.domain.model.registry import ModelVersion
from fmnist.domain.services.prediction import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One loaded, checked and warmed model; immutable, so that a request that reads it once is answered by it alone.

    Attributes:
        version: the registered version that it is.
        uuid, signature, created: as `ModelPackage` says.
        prediction: answers.
        degraded: why its normalization could not be compared with the data registry's, or None when they agree.
    """

    version: ModelVersion
    uuid: str
    signature: Mapping[str, Any]
    created: float
    prediction: Prediction
    degraded: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingStatus:
    """What a replica was asked to serve, what it serves, and what went wrong in between.

    Attributes:
        desired: the model URI that was asked for, or `newest version of NAME`.
        served: the model that answers, or None until one does.
        reload_error: why what is desired is not what is served, or None. One line, for a person.
    """

    desired: str
    served: ServedModel | None
    reload_error: str | None
