"""The dataset's official files: downloads, checks and parses gzipped IDX arrays."""
