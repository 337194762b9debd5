"""The smoke test of a deployed service: its routes, real test images in every format, its refusals and its latency.

It speaks to the service over HTTP alone, as any caller would, and changes nothing.
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from fmnist.domain.model.endpoint import Ask
from fmnist.domain.model.errors import UnexpectedReply
from fmnist.domain.model.smoke_report import Checks, Latency, SmokePlan, SmokeReport
from fmnist.domain.services import smoke_routes
from fmnist.domain.services.smoke_pictures import EncodePicture, PictureChecks
from fmnist.ports.data_registry import DataRegistry

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.5


class SmokeTest:
    """Tests one service.

    Args:
        registry: has the data version that the served model was trained on.
        clock: seconds that only ever grow.
    """

    def __init__(
        self,
        ask: Ask,
        registry: DataRegistry,
        encode_picture: EncodePicture,
        plan: SmokePlan,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._registry = registry
        self._encode_picture = encode_picture
        self._plan = plan
        self._sleep = sleep
        self._clock = clock

    def run(self) -> SmokeReport:
        """Test the service, and once more when another model took over meanwhile and there is time left to wait.

        Raises:
            DataVersionNotFound: the registry lacks the version that the service names.
            CorruptData: the images are not what that version promises.
            StoreUnavailable: the registry does not answer. A service that does not is a failed check.
        """
        deadline = self._clock() + self._plan.wait
        while True:
            report = self._run_once(deadline)
            if len(report.models) <= 1 or self._clock() >= deadline:
                return report
            logger.info("%s: testing again", " gave way to ".join(report.models))

    def _run_once(self, deadline: float) -> SmokeReport:
        ask, checks = self._ask, self._wait(deadline)
        if not checks.rules[0].passed:
            return SmokeReport(checks=checks.rules)
        checks.run("service", partial(smoke_routes.check_service, ask))
        checks.run("live", partial(smoke_routes.check_live, ask))
        checks.run("health", partial(smoke_routes.check_health, ask))
        info = checks.run("info", partial(smoke_routes.read_info, ask), lambda info: str(info["model_uri"]))
        checks.run("V2 metadata", partial(smoke_routes.check_v2, ask))
        if info is None:
            return SmokeReport(checks=checks.rules)
        dataset = self._registry.resolve(info["data_version"])
        split = "test" if "test" in dataset.splits else "val"
        data = self._registry.read(dataset, split).head(self._plan.images)
        checks.run("data", partial(smoke_routes.check_data, info, dataset))
        pictures = PictureChecks(ask, self._encode_picture, self._plan, dataset.class_names, data)
        pictures.run(checks, split)
        for name, refusal in smoke_routes.refusals(data.images, self._plan.max_images).items():
            checks.run(f"refuses {name}", partial(smoke_routes.check_refusal, ask, refusal))
        if self._plan.has_key:
            checks.run("API key", partial(smoke_routes.check_key, ask, data.images[:1]))
        latencies = checks.run("latency", pictures.latencies, _told)
        checks.run("one model", pictures.check_models)
        return SmokeReport(
            checks=checks.rules, latencies=latencies or (), models=pictures.models, data_version=dataset.version
        )

    def _wait(self, deadline: float) -> Checks:
        """Return the checks with the first of them, which is repeated until it passes or the time is over."""
        while True:
            checks = Checks()
            checks.run("ready", self._check_ready)
            if checks.rules[0].passed or self._clock() >= deadline:
                return checks
            self._sleep(_POLL_SECONDS)

    def _check_ready(self) -> str:
        seen = smoke_routes.check_ready(self._ask)
        wanted = self._plan.model_uri
        if wanted is None:
            return seen
        serving = smoke_routes.read_info(self._ask)["model_uri"]
        if serving != wanted:
            raise UnexpectedReply(f"{serving} serves, expected {wanted}")
        return f"{seen}, serving {wanted}"


def _told(latencies: Sequence[Latency]) -> str:
    return ", ".join(f"{each.images} images in {each.p50 * 1e3:.1f} ms" for each in latencies)
