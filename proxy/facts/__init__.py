"""Who, where and what: the facts of an exchange from directory, databases and prompt."""
