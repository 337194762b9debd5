"""What the serving benchmark measures and compares: the loads, the figures, the ratios with their goals, two tables."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

JSON, OCTETS = "application/json", "application/octet-stream"
BATCH = 1000

# What was measured of a subject: figures by their name, for each load, and for "start" and "memory".
Measured = dict[str, dict[str, float]]
Round = dict[str, Measured]


@dataclass(frozen=True)
class Load:
    """Images in a request, connections that send it, and its form."""

    images: int
    connections: int
    content_type: str = JSON


LOADS = {
    # First, because BentoML goes on waiting for more requests after a load of many connections.
    "single-1": Load(1, 1),
    "single-16": Load(1, 16),
    "json": Load(BATCH, 4),
    "octets": Load(BATCH, 4, OCTETS),
}


@dataclass(frozen=True)
class Figure:
    """A figure to show: its name in a load, and the number of decimals."""

    load: str
    name: str
    less_is_better: bool = False
    decimals: int = 0

    def of(self, measured: Measured) -> float:
        """Return its value for a subject."""
        return measured[self.load][self.name]


FIGURES = {
    "16 conn. req/s": Figure("single-16", "requests_per_second"),
    "16 conn. p99 ms": Figure("single-16", "p99_ms", less_is_better=True),
    "1 conn. req/s": Figure("single-1", "requests_per_second"),
    "1 conn. p50 ms": Figure("single-1", "p50_ms", less_is_better=True, decimals=2),
    "JSON images/s": Figure("json", "images_per_second"),
    "octets images/s": Figure("octets", "images_per_second"),
    "start s": Figure("start", "seconds", less_is_better=True, decimals=1),
    "peak MiB": Figure("memory", "peak_mib", less_is_better=True),
}


@dataclass(frozen=True)
class Ratio:
    """A figure of one subject over that of another in the same round. The least that is asked is `goal`, then `aim`."""

    subject: str
    figure: str
    other: str
    goal: float | None = None
    aim: float | None = None

    def row(self, rounds: Sequence[Round]) -> list[str]:
        """Return its line of the table: the median and the range of the ratios of all rounds."""
        figure = FIGURES[self.figure]
        ratios = [figure.of(each[self.subject]) / figure.of(each[self.other]) for each in rounds]
        median = statistics.median(ratios)
        return [
            self.subject,
            self.figure,
            self.other,
            f"{median:.2f}",
            f"{min(ratios):.2f}-{max(ratios):.2f}",
            self._asked(self.goal),
            self._asked(self.aim),
            self._verdict(median),
        ]

    def _asked(self, limit: float | None) -> str:
        sign = "<=" if FIGURES[self.figure].less_is_better else ">="
        return "" if limit is None else f"{sign} {limit:g}"

    def _verdict(self, median: float) -> str:
        if self.goal is None:
            return ""
        if self.aim is not None and self._reaches(median, self.aim):
            return "aim met"
        return "goal met" if self._reaches(median, self.goal) else "MISSED"

    def _reaches(self, median: float, limit: float) -> bool:
        return median <= limit if FIGURES[self.figure].less_is_better else median >= limit


RATIOS = (
    Ratio("fmnist", "16 conn. req/s", "litserve", 2.5, 3.5),
    Ratio("fmnist", "1 conn. p50 ms", "litserve", 0.5, 0.35),
    Ratio("fmnist", "JSON images/s", "litserve", 1.5, 2),
    Ratio("fmnist", "octets images/s", "limit", 0.95, 1),
    Ratio("fmnist", "start s", "limit", 2, 1.5),
    Ratio("haproxy", "16 conn. req/s", "litserve", 1.2, 1.5),
    Ratio("ray", "16 conn. req/s", "plain", 2),
    Ratio("ray", "16 conn. p99 ms", "plain", 0.5),
    Ratio("ray", "JSON images/s", "plain", 4),
    Ratio("ray", "octets images/s", "limit", 0.8),
    *(
        Ratio("fmnist", figure, other)
        for other in ("bentoml", "mlflow")
        for figure in ("16 conn. req/s", "1 conn. p50 ms", "JSON images/s")
    ),
)


def subjects_table(rounds: Sequence[Round]) -> list[list[str]]:
    """Return the median of each figure of each subject, as rows with headings."""
    figures = [[subject, *(_median(rounds, subject, each) for each in FIGURES.values())] for subject in rounds[0]]
    return [["median of rounds", *FIGURES], *figures]


def _median(rounds: Sequence[Round], subject: str, figure: Figure) -> str:
    found = [figure.of(each[subject]) for each in rounds if figure.load in each[subject]]
    return f"{statistics.median(found):,.{figure.decimals}f}" if found else "-"


def ratios_table(rounds: Sequence[Round]) -> list[list[str]]:
    """Return the ratios of the subjects that were measured, as rows with headings."""
    compared = [each for each in RATIOS if {each.subject, each.other} <= rounds[0].keys()]
    return [["ratio of", "", "over", "median", "range", "goal", "aim", ""], *(each.row(rounds) for each in compared)]
