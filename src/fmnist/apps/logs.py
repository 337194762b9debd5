"""The process's log: to the standard error stream, coloured on a terminal, plain lines with a time anywhere else."""

import logging
import sys

# Vendors that tell more about themselves than about the work.
_TALKATIVE = (
    "alembic",
    "botocore",
    "dvc",
    "dvc_objects",
    "git",
    "httpx",
    "lightning",
    "mlflow",
    "onnxscript",
    "ray",
    "torch",
)


def configure_logging(level: str) -> None:
    """Send the package's log to stderr at `level`, and that of vendors at WARNING unless `level` is DEBUG."""
    from fmnist.apps.terminal import stderr

    handler: logging.Handler
    if stderr().is_terminal:
        from rich.logging import RichHandler

        handler = RichHandler(console=stderr(), show_path=False, omit_repeated_times=False)
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if level != "DEBUG":
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
