"""Threads of this process: `BatchPrediction` without a cluster."""
