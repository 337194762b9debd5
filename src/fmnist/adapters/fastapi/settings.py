"""Settings of the HTTP application, as plain picklable values."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Limits, names and keys of one HTTP application.

    Attributes:
        version: version of this software, shown at `/`.
        application: name of the application in metrics of requests.
        model_name: the model's name in the Open Inference Protocol. It may differ from the registered name.
        max_images: most images in one request.
        max_bytes: most bytes in a request's body.
        max_buffered_bytes: most bytes of all bodies that one process holds at a time, at least `max_bytes`.
        max_picture_pixels: most pixels (width x height) of a PNG or JPEG. A larger one is refused before decoding.
        body_timeout_seconds: time limit for a client to send its body.
        request_timeout_seconds: time limit of a whole request. A client cannot change it.
        has_drift: whether the service has `/drift`.
        has_feedback: whether the service has `/feedback`.
        has_ui: whether the service has the page `/ui`.
        tracker_url: address of the tracker for people, without credentials; None if it has none over HTTP.
        api_keys: each of them gives access to the prediction routes and to details of errors. Without keys, these are
            open to all. Keys are never shown.
    """

    version: str
    application: str = "fmnist"
    model_name: str = "fashion-mnist-classifier"
    max_images: int = 1000
    max_bytes: int = 8 * 2**20
    max_buffered_bytes: int = 64 * 2**20
    max_picture_pixels: int = 16_000_000
    body_timeout_seconds: float = 15.0
    request_timeout_seconds: float = 30.0
    has_drift: bool = True
    has_feedback: bool = False
    has_ui: bool = True
    tracker_url: str | None = None
    api_keys: tuple[str, ...] = field(default=(), repr=False)
