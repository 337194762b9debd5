"""Every row of a part is answered once, or the count fails."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fmnist.domain.model.batch.answers import AnsweredRows, PartCount
from fmnist.domain.model.data.image_rows import InputPart, UnreadableRow
from fmnist.domain.model.errors import CorruptData

PART = InputPart("a", "/data/a", "f", rows=6)


def piece(*rows: int, bad: tuple[int, ...] = (), last: bool = False) -> AnsweredRows:
    return AnsweredRows(
        part="a",
        rows=np.array(rows, np.int64),
        paths=None,
        labels=None,
        ids={},
        unreadable=tuple(UnreadableRow(row, None, "damaged") for row in bad),
        probabilities=np.zeros((len(rows), 10), np.float32),
        is_last=last,
    )


GOOD = (piece(0, 2, bad=(1,)), piece(), piece(bad=(3,)), piece(4, 5, last=True))


def test_rows_and_unreadable_rows_are_counted_until_the_part_ends() -> None:
    count, given = PartCount(PART), iter([*GOOD, piece(0)])
    assert list(count.passing(given)) == list(GOOD)
    assert (count.rows, count.unreadable, count.labeled) == (6, 2, False)
    assert next(given).rows.tolist() == [0], "the next part is left alone"


def test_part_is_labeled_if_an_answered_row_has_a_label() -> None:
    count = PartCount(PART)
    labeled = [replace(each, labels=np.zeros(len(each.rows), np.uint8)) for each in GOOD]
    list(count.passing(labeled))
    assert count.labeled
    none = PartCount(replace(PART, rows=1))
    list(none.passing([replace(piece(bad=(0,), last=True), labels=np.zeros(0, np.uint8))]))
    assert not none.labeled


SPOILED: list[Callable[[list[AnsweredRows]], list[AnsweredRows]]] = [
    lambda pieces: pieces[1:],
    lambda pieces: [pieces[0], *pieces],
    lambda pieces: [pieces[0], pieces[3], pieces[2]],
    lambda pieces: pieces[:-1],
    lambda pieces: [*pieces[:-1], piece(4, last=True)],
    lambda pieces: [*pieces[:-1], piece(4, 5, 6, last=True)],
    lambda pieces: [replace(pieces[0], part="b"), *pieces[1:]],
    lambda pieces: [replace(pieces[0], unreadable=()), *pieces[1:]],
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_missing_repeated_and_foreign_rows_are_found(spoil: Callable[[list[AnsweredRows]], list[AnsweredRows]]) -> None:
    with pytest.raises(CorruptData, match="/data/a"):
        list(PartCount(PART).passing(spoil(list(GOOD))))


def test_number_of_rows_may_be_unknown_beforehand() -> None:
    count = PartCount(replace(PART, rows=None))
    assert len(list(count.passing(GOOD))) == 4
