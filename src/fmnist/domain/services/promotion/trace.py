"""Where a model comes from: from its copies back to the run, and from there to data, code, image and workflow."""

from dataclasses import dataclass

from fmnist.domain.model.errors import InvalidSetting, RunNotFound
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.records import AcceptanceRecord, Approval, DecisionRecord, Tag
from fmnist.domain.services.promotion.state import iso_utc
from fmnist.ports.model_store import ModelStore
from fmnist.ports.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a lineage: what it is, its name, and details by name."""

    what: str
    name: str
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LineageTrace:
    """Follows the tags of promotions and training runs. It reads and never writes."""

    store: ModelStore
    tracker: Tracker

    def of(self, uri: str) -> list[Link]:
        """Return the origin of a version in steps, from the version itself to its data and code.

        Raises:
            ModelNotFound: the version or its source does not exist.
            InvalidSetting: its tags form a circle.
        """
        links = []
        version: ModelVersion | None = self.store.resolve(uri)
        seen: set[str] = set()
        while version is not None:
            if version.uri in seen:
                raise InvalidSetting(f"{version.uri} is a copy of itself by its tags: they were changed by hand")
            seen.add(version.uri)
            links.append(_version_link(version))
            origin, parent = version, _parent(version)
            version = self.store.resolve(parent) if parent else None
        return [*links, *self._run_links(origin)]

    def _run_links(self, version: ModelVersion) -> list[Link]:
        tags = dict(version.tags)
        try:
            run = self.tracker.get(version.run_id)
        except RunNotFound:
            run_link = Link("run", version.run_id or "none", (("state", "no longer in the tracker"),))
        else:
            tags |= run.tags
            details = (("name", run.name), ("status", str(run.status)), ("started", iso_utc(run.started)))
            run_link = Link("run", run.run_id, details)
        data = (("commit", tags.get("dvc_data_sha", "")), ("digest", tags.get("data_digest", "")))
        return [
            run_link,
            Link("data version", tags.get("dvc_data_version", "unknown"), tuple(pair for pair in data if pair[1])),
            Link("git commit", tags.get("git_commit", "unknown")),
            Link("image", tags.get("docker_image_tag", "unknown")),
            Link("workflow", tags.get("argo_workflow_uid", "unknown")),
        ]


def _parent(version: ModelVersion) -> str | None:
    """Return the URI of the version's source. A released copy also inherits the `staged_from` of its source."""
    return next(
        (
            version.tags[tag]
            for tag in (Tag.RELEASED_FROM, Tag.STAGED_FROM)
            if version.tags.get(tag, version.uri) != version.uri
        ),
        None,
    )


def _version_link(version: ModelVersion) -> Link:
    details = [("aliases", ", ".join(version.aliases)), ("registered", iso_utc(version.created))]
    if Tag.RELEASED_FROM in version.tags:
        when = version.tags.get(Tag.PROMOTED_AT) or "not finished,"
        details += [
            ("promoted", f"{when} by {version.tags.get(Tag.PROMOTED_BY)}"),
            ("serving image", version.tags.get(Tag.SERVING_IMAGE, "")),
        ]
        if approval := Approval.read(version):
            details.append(("approved", f"{approval.mode}, by {approval.by}: {approval.reason}"))
    if acceptance := AcceptanceRecord.of(version):
        details.append(("tested", acceptance.message))
    if decision := DecisionRecord.of(version):
        details.append(("decision", decision.decision.message))
    return Link("model", version.uri, tuple((name, value) for name, value in details if value))
