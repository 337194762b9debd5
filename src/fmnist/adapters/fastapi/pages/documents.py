"""The shapes of the answers that only the page asks for."""

from typing_extensions import TypedDict


class Accuracy(TypedDict):
    """Accuracy on a split, with its 95 % interval, as the model card states it."""

    split: str
    text: str


class ModelDocument(TypedDict):
    """The model that answers, for a person.

    Attributes:
        since: when this process began to serve it.
        card: the model card in Markdown, or null.
        run_url: address of the training run in the tracker, with its report, or null.
        has_reference: whether the energy of an image can be compared with that of the `val` split.
    """

    model_uri: str
    architecture: str
    data_version: str | None
    registered: str
    since: str
    class_names: list[str]
    accuracy: Accuracy | None
    card: str | None
    run_url: str | None
    has_reference: bool


class Samples(TypedDict):
    """The images that were saved with the model, each as 784 bytes in base64."""

    model_uri: str
    images: list[str]


class Energy(TypedDict):
    """How much an image looks like those of the training.

    Attributes:
        energy: its energy, with the sign turned: low for strange pictures.
        share: share in [0, 1] of the images of `val` whose energy is not higher, or null without a reference.
    """

    model_uri: str
    energy: float
    share: float | None
