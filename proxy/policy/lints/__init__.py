"""What a policy set can be read to do, and not to do, without an exchange: the parts of `lint`."""
