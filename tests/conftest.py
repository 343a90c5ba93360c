"""What all tests share: fixtures of real store servers, and the settings of property tests.

Property tests have no time limits (machines are noisy), and run the same cases in CI.
"""

import os

from hypothesis import settings

pytest_plugins = ["tests.servers.fixtures"]

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
