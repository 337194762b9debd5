"""`fmnist predict-batch`: answers for every kind of file, an interrupted run, and what it refuses."""

import gzip
import json
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from fmnist.adapters.parquet.files import write_split
from fmnist.adapters.pillow.files import encode_picture
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.testing.data import toy_images
from tests.integration.apps.command import Command
from tests.integration.apps.conftest import Trained
from tests.integration.apps.here import Here
from tests.integration.apps.serving.host import wait_until

DATA = toy_images(30)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """The same images as Parquet, IDX, CSV, npy and pictures."""
    folder = tmp_path / "in"
    write_split(DATA, folder / "a.parquet")
    pixels = DATA.images.tobytes()
    (folder / "b-images-idx3-ubyte.gz").write_bytes(gzip.compress(struct.pack(">4i", 2051, 30, 28, 28) + pixels))
    header = ",".join(["label", *(f"pixel{number}" for number in range(1, 785))])
    rows = [",".join(map(str, [label, *image.ravel()])) for image, label in zip(DATA.images, DATA.labels, strict=True)]
    (folder / "c.csv").write_text("\n".join([header, *rows]) + "\n")
    np.save(folder / "d.npy", DATA.images)
    (folder / "pictures").mkdir()
    for row, image in enumerate(DATA.images):
        (folder / "pictures" / f"{row:02}.png").write_bytes(encode_picture(image, "PNG"))
    return folder


def probabilities(file: Path) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(pq.read_table(file)["probabilities"].to_pylist(), np.float32)


def test_every_kind_of_file_gets_the_same_answers(there: Here, trained: Trained, inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = there.json("predict-batch", str(inputs), str(out))
    assert (result["parts"], result["new_parts"], result["rows"], result["unreadable"]) == (5, 5, 150, 0)
    assert result["model_uri"] == trained.result["model_uri"]
    files = sorted(out.rglob("*.parquet"))
    assert len(files) == 5
    assert pq.read_table(out / "a.parquet")["label"].to_pylist() == DATA.labels.tolist()
    for file in files:
        table = pq.read_table(file)
        assert table["row"].to_pylist() == list(range(30))
        np.testing.assert_allclose(probabilities(file), probabilities(files[0]), atol=1e-6)
    assert pq.read_table(out / "in-00000.parquet")["path"][3].as_py() == "pictures/03.png"
    assert "Confusion matrix" in (out / "report" / "report.html").read_text()

    told = there.told("predict-batch", str(inputs), str(out))
    assert "5, of which 0 in this run" in told
    assert told.endswith(f"answers {out}\nreport {out}/report/report.html\n")


def test_unreadable_rows_are_listed_and_the_rest_is_answered(there: Here, inputs: Path, tmp_path: Path) -> None:
    (inputs / "pictures" / "03.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    result = there.json("predict-batch", str(inputs / "pictures"), str(out))
    assert (result["rows"], result["unreadable"]) == (30, 1)
    (listed,) = [json.loads(line) for file in out.glob("*.unreadable.jsonl") for line in file.read_text().splitlines()]
    assert (listed["row"], listed["path"]) == (3, "03.png")


def test_what_cannot_be_done_is_refused_in_one_line(there: Here, inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (inputs / "notes.txt").write_text("no images")
    assert "notes.txt" in there.refused("predict-batch", str(inputs), str(out))
    assert "absent" in there.refused("predict-batch", str(tmp_path / "absent"), str(out))
    assert "inside the input" in there.refused("predict-batch", str(inputs), str(inputs / "out"))
    assert "is not in MLflow" in there.refused(
        "predict-batch", str(inputs / "a.parquet"), str(out), "--model", "models:/dev.fashion-mnist-classifier/99"
    )
    assert not out.exists(), "nothing is written before it is known to be possible"
    assert "is not empty" in there.refused("predict-batch", str(inputs / "a.parquet"), str(inputs / "pictures"))
    there.told("predict-batch", str(inputs / "a.parquet"), str(out))
    write_split(toy_images(30, seed=5), inputs / "a.parquet")
    assert "a.parquet has changed" in there.refused("predict-batch", str(inputs / "a.parquet"), str(out))


def test_file_that_is_cut_off_is_an_error_and_leaves_no_half_answers(there: Here, inputs: Path, tmp_path: Path) -> None:
    csv, out = inputs / "c.csv", tmp_path / "out"
    broken = csv.with_name("z.npy")
    broken.write_bytes((inputs / "d.npy").read_bytes()[:-100])
    line = there.refused("predict-batch", str(csv), str(broken), str(out))
    assert "z.npy" in line
    assert not list(out.rglob("z.npy*"))


@pytest.mark.parametrize("compute", ["local", "ray"])
def test_interrupted_run_is_finished_by_the_same_command(trained: Trained, tmp_path: Path, compute: str) -> None:
    data = toy_images(4000)
    for number in range(25):
        write_split(data, tmp_path / "in" / f"{number:02}.parquet")
    command = Command(tmp_path, trained.command.registry, {"FMNIST_HOME": str(trained.command.home)})
    given = ("predict-batch", str(tmp_path / "in"), str(tmp_path / "out"), "--compute", compute)
    started = command.start(*given)

    def has_begun() -> bool:
        assert started.process.poll() is None, started.end()
        return (tmp_path / "out" / "00.parquet").exists()

    wait_until(has_begun, "the first part is done")
    family = psutil.Process(started.process.pid).children(recursive=True)
    started.send(signal.SIGTERM)
    code, said = started.end()
    assert code == 143, said
    assert "of 25 parts are done; the same command does the rest\nterminated\n" in said
    assert "Traceback" not in said
    assert psutil.wait_procs(family, timeout=30)[1] == []
    done = len(list((tmp_path / "out").glob("*.parquet")))
    assert 1 <= done < 25
    assert not (tmp_path / "out" / ".unfinished").exists()

    result = Here(command).json(*given)
    assert (result["parts"], result["rows"]) == (25, 100_000)
    assert result["new_parts"] <= 25 - done + 1  # one may have been written, and not recorded yet
    whole = probabilities(tmp_path / "out" / "00.parquet")
    np.testing.assert_allclose(probabilities(tmp_path / "out" / "24.parquet"), whole, atol=1e-6)


PEAK = """\
import resource, sys
from fmnist.__main__ import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    print("peak", ended.code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
"""


@pytest.mark.soak
def test_memory_is_the_same_for_60_thousand_and_1_200_thousand_rows(trained: Trained, tmp_path: Path) -> None:
    write_split(toy_images(60_000), tmp_path / "few" / "images.parquet")
    write_split(LabeledImages.joined([toy_images(60_000)] * 20), tmp_path / "many" / "images.parquet")
    peaks = []
    for name in ("few", "many"):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, "predict-batch", str(tmp_path / name), str(tmp_path / f"{name}-answers")],
            env=trained.command.environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        _, code, peak = done.stderr.splitlines()[-1].split()
        assert code == "0", done.stderr
        peaks.append(int(peak))
    assert pq.read_metadata(tmp_path / "many-answers" / "images.parquet").num_rows == 1_200_000
    assert peaks[1] < peaks[0] + 100, f"{peaks} MiB: the images alone have 45 and 900"
