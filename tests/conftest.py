"""What every suite shares: how hypothesis looks for counterexamples."""

from hypothesis import settings

# The same examples at every run, so that a red suite stays red; `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("steady", max_examples=40, deadline=None, derandomize=True, database=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile("steady")
