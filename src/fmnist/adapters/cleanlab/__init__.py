"""cleanlab: confident learning for `fmnist data audit`. It provides the `LabelReview`."""
