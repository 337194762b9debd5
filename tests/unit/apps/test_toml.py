"""Any preset or policy file is usable, or quickly refused by name."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fmnist.apps.promotion_options import read_policy
from fmnist.apps.train import read_recipe
from fmnist.domain.model.errors import InvalidSetting
from tests.unit.hostile import texts


def read_preset(path: Path) -> object:
    return read_recipe(str(path))


READERS = (read_preset, read_policy)
WHOLE = 'architecture = "cnn"\nlr = 0.2\nflip = true\nmax_epochs = 8\n'
names = st.sampled_from(["architecture", "lr", "flip", "max_epochs", "metric", "threshold", "higher_is_better", "x"])
values = st.sampled_from(
    ["1e400", "-1e400", "nan", "inf", "1" * 4000, "-" + "1" * 400, "1" * 5000, "2001-01-01", "{a=[1]}", "[[1]]", "true"]
)


def refusal(read: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(InvalidSetting) as caught:
        read(path)
    return str(caught.value)


@pytest.mark.parametrize("read", READERS)
def test_a_path_that_is_not_a_text_file_is_refused_by_name(read: Callable[[Path], object], tmp_path: Path) -> None:
    pipe, large, binary = tmp_path / "pipe", tmp_path / "large", tmp_path / "binary"
    os.mkfifo(pipe)
    large.write_text("# " + "x" * 1_000_000)
    binary.write_bytes(b"\xff\xfe")
    for path, why in (
        (tmp_path, "Is a directory"),
        (pipe, "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (large, "longer than 20000 bytes"),
        (binary, "codec can't decode"),
    ):
        assert str(path) in refusal(read, path)
        assert why in refusal(read, path)


@pytest.mark.parametrize("read", READERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    st.text(max_size=60)
    | st.builds("{} = {}\n".format, names, values | texts)
    | st.builds(
        lambda place, damage: WHOLE[:place] + damage + WHOLE[place + 1 :], st.integers(0, 60), st.text(max_size=4)
    )
)
@example("a = " + "[" * 15_000)
@example("a." * 9_000 + "a = 1")
@example("threshold = " + "1" * 4000)
@example("lr = " + "1" * 4000)
@example('"a\\nb" = 1')
def test_any_text_is_used_or_refused(read: Callable[[Path], object], tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode())
    with suppress(InvalidSetting):
        read(path)
