"""A state directory with any name: it holds all state, or is refused in one line before anything is created."""

import re
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy import create_engine, text

from fmnist.apps.containers.models import mlflow_connection
from fmnist.apps.settings import Settings
from fmnist.domain.model.errors import InvalidSetting

_NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


def _settings(home: str) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name.upper(), raising=False)
        patch.setenv("FMNIST_HOME", home)
        return Settings.load()


@given(name=_NAMES)
@example("a#b, c")
@example("[a] 'c\"")
@example("a::b")
@example("$HOME")
@example("-a")
@example("é")
@example(" a ")
@example("a\u2028\xa0b")
def test_runs_and_artifacts_are_in_the_home_or_it_is_refused(scratch: Path, name: str) -> None:
    assume(name not in {".", ".."})
    home = scratch / name
    try:
        settings = _settings(str(home))
    except InvalidSetting as error:
        assert "FMNIST_HOME" in str(error)  # noqa: PT017 - both outcomes are fine
        assert "\n" not in str(error)  # noqa: PT017
        assert set("%?{}") & set(name) or re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", name)
        return
    home = settings.fmnist_home
    home.mkdir(exist_ok=True)
    engine = create_engine(settings.tracking_uri.reveal())
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS a (b)"))
    engine.dispose()
    assert (home / "mlflow.db").exists()
    location = mlflow_connection(settings).artifact_folder(home / "mlflow.db").as_uri()
    run = append_to_uri_path(location, "run", "artifacts")  # as MLflow builds and reads it
    assert Path(local_file_uri_to_path(run)) == home.resolve() / "artifacts" / "run" / "artifacts"


@pytest.mark.parametrize("name", ["a%2Fb", "a?b", "100%", "{a}", "a\nb", "a\x1bb", "a\udcffb"])
def test_a_home_whose_name_vendors_read_differently_is_refused_and_not_created(scratch: Path, name: str) -> None:
    with pytest.raises(InvalidSetting, match=r"FMNIST_HOME: .*(the path holds|its value has)"):
        _settings(str(scratch / name / "home"))
    assert not (scratch / name).exists()
