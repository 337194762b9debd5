"""Progress of a batch prediction without a terminal: a line from time to time, with rate and time left."""

from io import StringIO

from rich.console import Console

from fmnist.apps.batch_progress import BatchProgressBar
from fmnist.domain.services.batch.run import BatchProgress


def lines(reports: list[tuple[float, BatchProgress]]) -> list[str]:
    written, times = StringIO(), [0.0]
    with BatchProgressBar(Console(file=written, width=80), clock=lambda: times[-1]) as progress:
        for seconds, report in reports:
            times.append(seconds)
            progress(report)
        assert progress.last == reports[-1][1]
    return written.getvalue().splitlines()


def test_a_line_every_ten_seconds_has_rate_and_time_left() -> None:
    reports = [(5.0, BatchProgress(0, 30, 1000, 600_000))]
    reports += [(5.0 + second, BatchProgress(second, 30, 10_000 * second, 600_000)) for second in range(1, 31)]
    assert lines(reports) == [
        "100,000 of 600,000 images, 10,000 images/s, 50 s left, 10 of 30 parts",
        "200,000 of 600,000 images, 10,000 images/s, 40 s left, 20 of 30 parts",
        "300,000 of 600,000 images, 10,000 images/s, 30 s left, 30 of 30 parts",
    ]


def test_an_unknown_size_gives_no_time_left() -> None:
    reports = [(0.0, BatchProgress(0, 2, 1000, None)), (20.0, BatchProgress(0, 2, 40_000, None))]
    assert lines(reports) == ["40,000 images, 2,000 images/s, 0 of 2 parts"]
