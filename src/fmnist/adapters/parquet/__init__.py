"""Splits as Parquet files: the canonical schema, its writer, and a reader that trusts no byte before it is hashed."""
