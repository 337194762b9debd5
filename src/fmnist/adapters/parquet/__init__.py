"""Splits as Parquet files: the canonical schema, its writer, and a reader that checks the hash before it parses."""
