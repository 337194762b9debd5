"""The evaluation report of a batch prediction, from the answers that were written and the labels beside them."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmnist.domain.model.batch.manifest import Manifest
from fmnist.domain.model.data.image_rows import InputPart
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.report import Measurement, Mistake, ModelReport, RenderReport
from fmnist.domain.model.evaluation.tally import Tally, WrongAnswer
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.domain.services.evaluation.evaluate import report_files, training_story
from fmnist.ports.batch_output import BatchOutput
from fmnist.ports.image_source import ImageSource
from fmnist.ports.tracker import Tracker

_SPLIT = "all rows with labels"
_SOURCE = "none, but files that were given"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """Makes the report. Memory does not grow with the number of rows."""

    tracker: Tracker
    render: RenderReport

    def files(
        self,
        parts: Sequence[InputPart],
        manifest: Manifest,
        output: BatchOutput,
        source: ImageSource,
        model: ModelVersion,
        info: ModelInfo,
    ) -> dict[str, bytes]:
        """Return the report's files over the labeled ones of `parts`, as `fmnist evaluate` makes them; {} without any.

        Images of the most confident mistakes are read from the source once more. Those that are gone are left out.
        """
        labeled = [part for part in parts if manifest.parts[part.name].labeled]
        tally = Tally()
        for part in labeled:
            for rows, labels, probabilities in output.labeled_answers(part.name):
                tally.add(part.name, rows, labels, probabilities)
        if not tally.images:
            return {}
        done = [manifest.parts[part.name] for part in labeled]
        images = _images(tally.worst, labeled, source)
        report = ModelReport(
            info=info,
            measured=Measurement(
                split=_SPLIT,
                data_version=f"{len(labeled)} input file{'' if len(labeled) == 1 else 's'}",
                digest=hashlib.sha256("\n".join(each.fingerprint for each in done).encode()).hexdigest()[:32],
                evaluation=tally.evaluation,
                reliability=tally.reliability,
                mistakes=tuple(_mistake(each, images) for each in tally.worst if (each.part, each.row) in images),
                images_per_second=sum(each.rows for each in done) / max(sum(each.seconds for each in done), 1e-9),
            ),
            story=training_story(self.tracker, model),
            source=_SOURCE,
            counts={_SPLIT: tally.images},
        )
        return report_files(self.render, model.uri, report)


def _images(
    wanted: Sequence[WrongAnswer], parts: Sequence[InputPart], source: ImageSource
) -> Mapping[tuple[str, int], Images]:
    rows = defaultdict[str, set[int]](set)
    for each in wanted:
        rows[each.part].add(each.row)
    found = {}
    for part in parts:
        missing = rows[part.name]
        for read in source.read(part) if missing else ():
            for place in np.flatnonzero(np.isin(read.rows, list(missing))):
                found[part.name, row := int(read.rows[place])] = read.images[place].copy()
                missing.remove(row)
            if not missing:
                break
    return found


def _mistake(each: WrongAnswer, images: Mapping[tuple[str, int], Images]) -> Mistake:
    return Mistake(
        row=each.row,
        image=images[each.part, each.row],
        truth=each.truth,
        answer=each.answer,
        confidence=each.confidence,
        part=each.part,
    )
