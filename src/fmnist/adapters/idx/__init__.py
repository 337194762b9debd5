"""The dataset's official files: IDX arrays in gzip, where they come from, and how they are read."""
