"""The use cases. A service is given ports, speaks domain values, and never learns who implements a port.

`TrainingRun` makes a registered model from a data version, `ModelPromotion` makes it the one that is served, and
`Prediction` answers for images with a loaded model. What a promotion needs besides stands in files of its own:
`challengers`, `model_comparison`, `acceptance`, `model_rollback`, all of them in a row in `promotion_pipeline`, and the
views on it in `promotion_overview` and `lineage_trace`. `ModelServing` decides which model a replica answers with:
`model_loading` finds and checks it, and `bounded_calls` bounds each wait.
"""
