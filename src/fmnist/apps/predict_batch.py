"""`fmnist predict-batch`: a registered model answers any number of images, in this process or on Ray."""

import sys
from contextlib import ExitStack, redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fmnist.apps.model_option import ModelUri
from fmnist.apps.outputs import AsJson, examples, print_json
from fmnist.apps.process import begin, leaving_at_once
from fmnist.apps.terminal import print_pairs, stderr, stdout

if TYPE_CHECKING:
    from fmnist.apps.containers.predict_batch import PredictBatchContainer
    from fmnist.apps.settings import Settings
    from fmnist.domain.services.batch.run import BatchResult

EXAMPLES = examples(
    "fmnist predict-batch images.parquet answers",
    "fmnist predict-batch 'data/*.parquet' pictures answers --model models:/prod.fashion-mnist-classifier@champion",
    "fmnist predict-batch s3://bucket/images s3://bucket/answers --compute ray",
)

_Compute = Literal["local", "ray"]


def predict_batch(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, folders, patterns or s3:// URIs. Kinds: Parquet, IDX, Kaggle's CSV, .npy, PNG and JPEG.",
        ),
    ],
    output: Annotated[
        str,
        typer.Argument(metavar="OUTPUT", help="Directory or s3:// URI for the answers: a Parquet file for each file."),
    ],
    model: ModelUri = None,
    compute: Annotated[
        _Compute | None,
        typer.Option(
            help="local: answer in this process; ray: answer with Ray Data, on the cluster RAY_ADDRESS or a new local "
            "one.  \\[default: ray if RAY_ADDRESS is set, else local]"
        ),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Classify all images of many files, and write the probabilities of each class.

    A second run with the same OUTPUT does what is missing. Rows that cannot be read are listed in
    NAME.unreadable.jsonl. If the input has labels, OUTPUT/report has an evaluation report.
    """
    settings = begin()
    where = compute or ("ray" if settings.ray_address else "local")
    with ExitStack() as stack:
        if where == "local":
            stack.enter_context(leaving_at_once())  # a thread may still read or answer
        with stderr().status("finding the model"):
            container = _container(settings, where)
            uri = model or container.find_version(uri=None).uri
            run = container.batch_run(output=container.output(place=output))
        result: BatchResult = _run(run, inputs, uri)
    if as_json:
        print_json(asdict(result))
    else:
        _print(result)


def _container(settings: "Settings", compute: str) -> "PredictBatchContainer":
    replaced = {}
    if compute == "ray":
        from fmnist.apps.containers.predict_batch_ray import on_ray

        replaced = on_ray(settings)
    from fmnist.apps.containers.predict_batch import PredictBatchContainer

    return PredictBatchContainer(settings=settings, **replaced)


def _run(run: Any, inputs: list[str], uri: str) -> "BatchResult":
    from fmnist.apps.batch_progress import BatchProgressBar

    with redirect_stdout(sys.stderr), BatchProgressBar(stderr()) as progress:  # Ray prints to stdout
        try:
            result: BatchResult = run.run(inputs, uri, progress)
        except KeyboardInterrupt:
            if (last := progress.last) is not None:
                stderr().print(
                    f"{last.done:,} of {last.parts:,} parts are done; the same command does the rest", soft_wrap=True
                )
            raise
    return result


def _print(result: "BatchResult") -> None:
    speed = f", {result.new_rows / result.seconds:,.0f} images/s" if result.new_rows else ""
    pairs = [
        ("model", result.model_uri),
        ("parts", f"{result.parts:,}, of which {result.new_parts:,} in this run"),
        ("rows", f"{result.rows:,}, of which {result.new_rows:,} in this run{speed}"),
        ("unreadable rows", f"{result.unreadable:,}" + (", see *.unreadable.jsonl" if result.unreadable else "")),
    ]
    print_pairs(pairs)
    # Not in the columns, which would fold a long path.
    for name, path in (("answers", result.place), ("report", result.report)):
        if path:
            stdout().print(f"{name} {path}", soft_wrap=True)
