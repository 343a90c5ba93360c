"""YAML text to checked, compiled rules, with a place for every error."""
