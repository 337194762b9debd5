"""Hypothesis strategies for any valid recipe."""

from hypothesis import strategies as st

from fmnist.domain.model.training.recipe import ARCHITECTURES, Recipe

positive = st.floats(min_value=0, max_value=1e38, exclude_min=True)
recipes = st.builds(
    Recipe,
    architecture=st.sampled_from(ARCHITECTURES),
    optimizer=st.sampled_from(["adamw", "sgd"]),
    schedule=st.sampled_from(["constant", "one_cycle"]),
    batch_size=st.integers(1, 10**6),
    lr=positive | st.integers(1, 10),
    max_epochs=st.integers(1, 10**4),
    weight_decay=positive | st.just(0),
    label_smoothing=st.floats(0, 1, exclude_max=True),
    flip=st.booleans(),
    shift=st.integers(0, 27),
    erase=st.integers(0, 27),
    fade=st.none() | st.integers(0, 126),
    coarse_epochs=st.none() | st.just(0),
    precision=st.sampled_from(["float32", "bfloat16"]),
    compile=st.booleans(),
)
