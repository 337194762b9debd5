"""What the data registry's repository says of its versions is read as Git means it."""

from pathlib import Path

from fmnist.adapters.dvc.git import tagged_commits
from fmnist.adapters.git.command import run
from fmnist.domain.model.addresses import Address


def test_tags_stand_for_commits_be_they_annotated_or_not(tmp_path: Path) -> None:
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgSign=false")
    run(["git", "init", "--quiet", str(tmp_path)])
    run(["git", *author, "commit", "--quiet", "--allow-empty", "--message", "x"], cwd=tmp_path)
    run(["git", "tag", "light"], cwd=tmp_path)
    run(["git", *author, "tag", "--annotate", "--message", "x", "heavy"], cwd=tmp_path)
    commit = run(["git", "rev-parse", "HEAD"], cwd=tmp_path).strip()
    assert tagged_commits(Address(str(tmp_path))) == {"light": commit, "heavy": commit}
