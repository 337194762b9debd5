"""The predict-batch app: a model of the store answers many files, in this process."""

from dependency_injector import providers

from fmnist.adapters.jinja2.report_page import render_report
from fmnist.adapters.parquet.batch_output import ParquetBatchOutput
from fmnist.adapters.threads.batch_prediction import LocalBatchPrediction
from fmnist.apps.containers.predict import PredictContainer
from fmnist.apps.containers.s3 import s3_settings
from fmnist.apps.settings import Settings
from fmnist.domain.services.batch.report import BatchReport
from fmnist.domain.services.batch.run import BatchRun


def _output(place: str, settings: Settings) -> ParquetBatchOutput:
    return ParquetBatchOutput(place, s3_settings(settings))


class PredictBatchContainer(PredictContainer):
    """`batch_run(output=output(place=…))` answers inputs."""

    output = providers.Factory(_output, settings=PredictContainer.settings)
    batch_prediction = providers.Factory(LocalBatchPrediction)
    report = providers.Factory(BatchReport, tracker=PredictContainer.tracker, render=providers.Object(render_report))
    batch_run = providers.Factory(
        BatchRun,
        store=PredictContainer.model_store,
        source=PredictContainer.image_source,
        prediction=batch_prediction,
        report=report,
    )
