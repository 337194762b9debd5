"""How good a model is: metrics, calibration, comparison and report."""
