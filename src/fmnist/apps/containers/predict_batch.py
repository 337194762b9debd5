"""The predict-batch app: a model of the store answers many files, in this process."""

from dependency_injector import providers

from fmnist.adapters.inputs.source import FileImageSource
from fmnist.adapters.jinja2.report_page import render_report
from fmnist.adapters.parquet.batch_output import ParquetBatchOutput
from fmnist.adapters.threads.batch_prediction import LocalBatchPrediction
from fmnist.apps.containers.models import ModelsContainer
from fmnist.apps.containers.s3 import s3_settings
from fmnist.apps.settings import Settings
from fmnist.domain.services.batch.report import BatchReport
from fmnist.domain.services.batch.run import BatchRun


def _image_source(settings: Settings) -> FileImageSource:
    return FileImageSource(s3_settings(settings))


def _output(place: str, settings: Settings) -> ParquetBatchOutput:
    return ParquetBatchOutput(place, s3_settings(settings))


class PredictBatchContainer(ModelsContainer):
    """`batch_run(output=output(place=…))` answers inputs."""

    image_source: providers.Factory[FileImageSource] = providers.Factory(
        _image_source, settings=ModelsContainer.settings
    )
    output = providers.Factory(_output, settings=ModelsContainer.settings)
    prediction = providers.Factory(LocalBatchPrediction)
    report = providers.Factory(BatchReport, tracker=ModelsContainer.tracker, render=providers.Object(render_report))
    batch_run = providers.Factory(
        BatchRun, store=ModelsContainer.model_store, source=image_source, prediction=prediction, report=report
    )
