"""gauger.yaml and the environment to checked settings, and the rooms put together."""
