"""The use cases. A service is given ports, speaks domain values, and never learns who implements a port.

A folder stands for a use case, in the command line's word: `training`, `evaluation`, `promotion`, `serving`.
What several need stands beside them: `prediction` answers for images, `find_version` looks a model up, and
`bounded_calls` bounds a wait.
"""
