"""What the HTTP application has to be told, in plain values that travel to wherever it runs."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Limits, names and keys of one HTTP application.

    Attributes:
        version: of this software, shown at `/`.
        model_name: what the Open Inference Protocol calls the model, whatever its registered name.
        max_images: images in one request.
        max_bytes: of a request's body.
        max_buffered_bytes: of all bodies that one process holds at a time, at least `max_bytes`.
        max_picture_pixels: width x height of a PNG or JPEG; what is larger is refused before it is decoded.
        body_timeout_seconds: for a client to send its body.
        request_timeout_seconds: for a whole request, whatever the client asks for.
        api_keys: any of which opens the prediction routes and details of faults; without one they are open to all.
            Never shown.
    """

    version: str
    model_name: str = "fashion-mnist-classifier"
    max_images: int = 1000
    max_bytes: int = 8 * 2**20
    max_buffered_bytes: int = 64 * 2**20
    max_picture_pixels: int = 16_000_000
    body_timeout_seconds: float = 15.0
    request_timeout_seconds: float = 30.0
    api_keys: tuple[str, ...] = field(default=(), repr=False)
