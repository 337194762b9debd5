"""`fmnist deploy`: commits the released model to the Git repository that a cluster follows."""

from pathlib import Path
from typing import Annotated

import typer

from fmnist.apps.outputs import AsJson, check_output_dir, examples, print_json, write_report
from fmnist.apps.process import begin
from fmnist.apps.promotion_options import By, who
from fmnist.apps.terminal import stderr, stdout

EXAMPLES = examples(
    "fmnist deploy",
    "fmnist deploy --model-uri models:/prod.fashion-mnist-classifier/7 --output-dir outputs",
    'fmnist promote rollback --reason "Shirts are classified as coats" && fmnist deploy',
)


def deploy(
    model_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="Released version to deploy.  \\[default: prod.NAME@champion]")
    ] = None,
    serving_image: Annotated[
        str | None,
        typer.Option(help="Serving image, with its tag.  \\[default: image recorded at the release, if any]"),
    ] = None,
    by: By = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Directory for the output files: changed, model_uri, revision, message and report.json."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write the champion into the cluster's service manifest, and commit that file to Git.

    The file is GITOPS_MANIFEST on branch GITOPS_BRANCH of GITOPS_REPO_URL: a RayService or a Serve config.
    A second deployment of the same version changes nothing.
    """
    settings = begin()
    check_output_dir(output_dir)
    with stderr().status("loading mlflow"):
        from fmnist.apps.containers.deploy import DeployContainer

        container = DeployContainer(settings=settings)
    deployment = container.deployment().run(model_uri, by=who(by), image=serving_image)
    outputs = {
        "changed": str(deployment.changed).lower(),
        "model_uri": deployment.version.uri,
        "revision": deployment.after.revision,
        "message": deployment.message,
    }
    document = {**outputs, "changed": deployment.changed, "replaced": deployment.before.model_uri}
    write_report(output_dir, outputs, document)
    if as_json:
        print_json(document)
    else:
        stdout().print(deployment.message, soft_wrap=True, markup=False)
