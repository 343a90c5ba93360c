"""A model API played by this machine, and lively traffic for it: `gauger demo`."""
