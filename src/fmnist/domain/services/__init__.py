"""The use cases. A service takes ports and domain values, and does not know which adapter implements a port.

Each folder belongs to a use case: `training`, `evaluation`, `promotion`, `serving`. Shared modules are beside them:
`prediction` classifies images, `find_version` looks up a model, and `bounded_calls` limits the time of a call.
"""
