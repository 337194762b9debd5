"""`ImageSource`: reads Parquet, IDX, CSV, `.npy`, PNG and JPEG, from a disk or from S3, as a stream of rows."""
