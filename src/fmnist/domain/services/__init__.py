"""The use cases. A service is given ports, speaks domain values, and never learns who implements a port.

`TrainingRun` makes a registered model from a data version, `Prediction` answers for images with a loaded model.
`ModelPromotion`, which decides what is served, will stand beside them in `model_promotion.py`.
"""
