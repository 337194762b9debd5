"""`Feedback` as objects in a directory or in S3."""
