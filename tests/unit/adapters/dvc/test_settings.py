"""Where a registry's settings search for the files of a split."""

from fmnist.adapters.dvc.settings import RegistryPaths, part_paths, parts_pattern


def test_parts_replace_only_the_file_at_the_default_path() -> None:
    paths = RegistryPaths(val="mine/val.parquet", test="mine/*.parquet")
    assert paths.candidates("train") == (paths.train, "data/fashion-mnist/processed/train/part-*.parquet")
    assert paths.candidates("val") == ("mine/val.parquet",)
    assert paths.candidates("test") == ("mine/*.parquet",)


def test_names_of_parts_sort_as_their_numbers() -> None:
    names = part_paths("a/b.parquet", 1001)
    assert names == sorted(names)
    assert (names[0], names[-1]) == ("a/part-00000.parquet", "a/part-01000.parquet")
    assert part_paths("a/b.parquet", 1) == ["a/b.parquet"]
    assert parts_pattern("a/b.parquet") == "a/part-*.parquet"
