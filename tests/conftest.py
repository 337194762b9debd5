"""What every suite shares: how hypothesis looks for counterexamples."""

import signal

from hypothesis import settings

# The same examples at every run, so that a red suite stays red; `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("steady", max_examples=40, deadline=None, derandomize=True, database=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile("steady")

# A suite that was started in the background inherits an ignored SIGINT, which is none of what the tests are about.
signal.signal(signal.SIGINT, signal.default_int_handler)
# A suite that is told to end ends what it started.
signal.signal(signal.SIGTERM, signal.default_int_handler)
