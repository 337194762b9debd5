"""The contract of every `ModelStore`, for any backend and any kind of weights."""

import json
import pickle
import uuid
from dataclasses import replace

import numpy as np
import pytest

from fmnist.domain.model.data.images import CLASS_NAMES, SIDE, Images
from fmnist.domain.model.errors import CorruptModel, InvalidSetting, ModelNotFound
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.ports.model_store import ModelStore, TrainedWeights
from fmnist.testing.data import toy_info, toy_sketch


class ModelStoreContract:
    """Subclass it as `Test...` and supply `store`, `run_id`, `weights` and `damaged`.

    All tests share one saved model, because saving takes seconds. Each test works on a copy with its own name.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls) -> ModelStore:
        """The store under test; it may already hold models."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def run_id(cls) -> str:
        """A run that the store may save models in."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def weights(cls) -> TrainedWeights:
        """Weights of a kind that the store accepts."""
        raise NotImplementedError

    @pytest.fixture
    def damaged(self, store: ModelStore, saved: ModelVersion) -> ModelVersion:
        """A version whose artifact lacks a part."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def info(cls, run_id: str, weights: TrainedWeights) -> ModelInfo:
        """The metadata of the saved model."""
        lineage = {"run_id": run_id, "git_commit": "0" * 40, "dvc_data_version": "fashion-mnist-v1.0.0"}
        return toy_info(architecture=weights.architecture, lineage=lineage)

    @pytest.fixture(scope="class")
    @classmethod
    def golden(cls) -> Images:
        """The golden batch: its answers are stored with the model."""
        return np.random.default_rng(0).integers(0, 256, (64, SIDE, SIDE), dtype=np.uint8)

    @pytest.fixture(scope="class")
    @classmethod
    def saved(
        cls, store: ModelStore, run_id: str, weights: TrainedWeights, info: ModelInfo, golden: Images
    ) -> ModelVersion:
        """The saved model that all tests share."""
        return store.save(run_id, _new_name(), weights, info, golden, reference=toy_sketch(), card="# A card\n")

    @pytest.fixture
    def version(self, store: ModelStore, saved: ModelVersion) -> ModelVersion:
        """A copy of the saved model, as version 1 of a new name."""
        return store.copy(saved, _new_name())

    def test_saved_model_is_version_1_of_its_run_tagged_with_its_lineage(
        self, store: ModelStore, saved: ModelVersion, run_id: str, info: ModelInfo
    ) -> None:
        assert (saved.version, saved.run_id, saved.aliases, saved.tags) == (1, run_id, (), info.lineage)
        assert saved.created > 1.5e9
        assert store.resolve(saved.uri) == saved

    @pytest.mark.parametrize("count", [1, 2, 7])
    def test_package_answers_each_image_alike_in_any_batch(
        self, store: ModelStore, saved: ModelVersion, info: ModelInfo, golden: Images, count: int
    ) -> None:
        classifier = store.download(saved).load()
        inputs = info.normalization.apply(golden)
        logits = classifier.logits(inputs[:count])
        assert classifier.info == info
        assert logits.shape == (count, len(CLASS_NAMES))
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, classifier.logits(inputs)[:count], rtol=1e-4, atol=1e-4)

    def test_package_tells_what_the_model_is(self, store: ModelStore, saved: ModelVersion, golden: Images) -> None:
        package = store.download(saved)
        assert package.version == saved
        assert package.uuid
        (inputs,), (outputs,) = package.signature["inputs"], package.signature["outputs"]
        assert (inputs["dtype"], inputs["shape"]) == ("float32", [-1, 1, SIDE, SIDE])
        assert (outputs["dtype"], outputs["shape"]) == ("float32", [-1, len(CLASS_NAMES)])
        assert json.loads(json.dumps(package.signature)) == package.signature
        assert saved.created - 3600 < package.created < saved.created + 1
        assert package.reference == toy_sketch()
        assert package.card == "# A card\n"
        np.testing.assert_array_equal(package.golden, golden)

    def test_package_travels_by_pickle(self, store: ModelStore, saved: ModelVersion, golden: Images) -> None:
        package = store.download(saved)
        travelled = pickle.loads(pickle.dumps(package))  # noqa: S301 - our own bytes, written on this line
        names = ("version", "uuid", "signature", "created", "reference", "card")
        assert all(getattr(travelled, name) == getattr(package, name) for name in names)
        loaded = travelled.load()
        inputs = loaded.info.normalization.apply(golden)
        np.testing.assert_array_equal(loaded.logits(inputs), package.load().logits(inputs))

    def test_package_of_a_copy_is_the_same_model_under_its_own_name(
        self, store: ModelStore, saved: ModelVersion, version: ModelVersion
    ) -> None:
        original, copy = store.download(saved), store.download(store.copy(version, _new_name()))
        assert (copy.uuid, copy.created, copy.signature) == (original.uuid, original.created, original.signature)
        assert copy.version != original.version

    def test_damaged_model_is_refused_by_name_and_harms_no_other(
        self, store: ModelStore, saved: ModelVersion, damaged: ModelVersion
    ) -> None:
        with pytest.raises(CorruptModel, match=damaged.uri):
            store.download(damaged).load()
        store.download(saved).load()

    def test_copy_keeps_run_and_tags_and_leaves_aliases(self, store: ModelStore, version: ModelVersion) -> None:
        store.label(version, alias="champion", tags={"approved_by": "a person"})
        copy = store.copy(version, _new_name())
        assert (copy.version, copy.run_id, copy.aliases) == (1, version.run_id, ())
        assert copy.tags == {**version.tags, "approved_by": "a person"}
        assert store.download(copy).load().info == store.download(version).load().info

    def test_copy_is_made_with_further_tags_that_overrule_the_source_s(
        self, store: ModelStore, version: ModelVersion
    ) -> None:
        store.label(version, tags={"image": "a", "decision": json.dumps({"why": "é" * 5000})})
        copy = store.copy(version, _new_name(), {"image": "b", "staged_from": version.uri})
        assert copy.tags == {**store.resolve(version.uri).tags, "image": "b", "staged_from": version.uri}
        assert store.resolve(copy.uri) == copy
        assert store.resolve(version.uri).tags["image"] == "a"

    def test_copy_of_a_copy_is_the_same_model(self, store: ModelStore, saved: ModelVersion) -> None:
        staged = store.copy(saved, _new_name(), {"staged_from": saved.uri})
        released = store.copy(staged, _new_name(), {"released_from": staged.uri})
        assert released.tags == {**saved.tags, "staged_from": saved.uri, "released_from": staged.uri}
        assert released.run_id == saved.run_id
        assert store.download(released).load().info == store.download(saved).load().info

    def test_versions_are_listed_newest_first_with_their_aliases(
        self, store: ModelStore, version: ModelVersion
    ) -> None:
        second = store.copy(version, version.name)
        store.label(version, alias="previous")
        listed = store.versions(version.name)
        assert [(each.version, each.aliases) for each in listed] == [(2, ()), (1, ("previous",))]
        assert listed == [store.resolve(second.uri), store.resolve(version.uri)]

    def test_no_versions_of_a_name_that_nobody_registered(self, store: ModelStore) -> None:
        assert store.versions(_new_name()) == []

    def test_alias_points_at_one_version(self, store: ModelStore, version: ModelVersion) -> None:
        second = store.copy(version, version.name)
        store.label(version, alias="champion")
        store.label(second, alias="champion")
        assert store.resolve(f"models:/{version.name}@champion").version == second.version
        assert store.resolve(version.uri).aliases == ()
        store.label(second, alias="candidate")
        assert sorted(store.resolve(second.uri).aliases) == ["candidate", "champion"]

    def test_tags_are_added_and_overwritten_one_by_one(self, store: ModelStore, version: ModelVersion) -> None:
        store.label(version, tags={"image": "a", "who": "x"})
        store.label(version, tags={"image": "b"})
        assert store.resolve(version.uri).tags == {**version.tags, "image": "b", "who": "x"}

    @pytest.mark.parametrize("alias", ["latest", "Latest", "v1", "V12", "with space", "a/b", ""])
    def test_alias_that_registries_keep_for_themselves_is_refused(
        self, store: ModelStore, version: ModelVersion, alias: str
    ) -> None:
        with pytest.raises(InvalidSetting, match="alias"):
            store.label(version, alias=alias)
        assert store.resolve(version.uri).aliases == ()

    @pytest.mark.parametrize("where", ["/2", "@champion"])
    def test_missing_version_and_alias_are_named(self, store: ModelStore, version: ModelVersion, where: str) -> None:
        uri = f"models:/{version.name}{where}"
        with pytest.raises(ModelNotFound, match=where[1:]):
            store.resolve(uri)

    @pytest.mark.parametrize("where", ["/1", "@champion"])
    def test_missing_model_is_named(self, store: ModelStore, where: str) -> None:
        name = _new_name()
        with pytest.raises(ModelNotFound, match=name):
            store.resolve(f"models:/{name}{where}")

    def test_version_that_is_gone_is_neither_copied_nor_labelled(self, store: ModelStore, saved: ModelVersion) -> None:
        name = _new_name()
        gone = ModelVersion(name=name, version=1, run_id=saved.run_id, aliases=(), tags={}, created=0.0)
        with pytest.raises(ModelNotFound, match=name):
            store.copy(gone, _new_name())
        with pytest.raises(ModelNotFound, match=name):
            store.label(gone, alias="champion")
        with pytest.raises(ModelNotFound, match=name):
            store.label(gone, tags={"image": "a"})

    def test_version_that_is_gone_is_not_downloaded(self, store: ModelStore, version: ModelVersion) -> None:
        with pytest.raises(ModelNotFound, match="2"):
            store.download(replace(version, version=2))
        name = _new_name()
        with pytest.raises(ModelNotFound, match=name):
            store.download(replace(version, name=name))

    @pytest.mark.parametrize("uri", ["", "models:/", "models:/name", "models:/name/latest", "runs:/0/model", "/a/path"])
    def test_uri_of_another_form_is_refused(self, store: ModelStore, uri: str) -> None:
        with pytest.raises(InvalidSetting, match="models:/NAME/VERSION"):
            store.resolve(uri)

    @pytest.mark.parametrize("name", ["", "a/b", "a@b", "it's", "with space"])
    def test_name_that_no_uri_can_hold_is_refused(self, store: ModelStore, saved: ModelVersion, name: str) -> None:
        with pytest.raises(InvalidSetting, match="registered model"):
            store.copy(saved, name)
        with pytest.raises(InvalidSetting, match="registered model"):
            store.versions(name)

    def test_weights_that_are_no_weights_are_refused_and_register_nothing(
        self, store: ModelStore, run_id: str, weights: TrainedWeights, info: ModelInfo, golden: Images
    ) -> None:
        name = _new_name()
        missing = TrainedWeights(architecture=weights.architecture, path=weights.path + ".absent")
        with pytest.raises(CorruptModel, match="absent"):
            store.save(run_id, name, missing, info, golden)
        assert store.versions(name) == []


def _new_name() -> str:
    return f"dev.contract-{uuid.uuid4().hex[:8]}"
