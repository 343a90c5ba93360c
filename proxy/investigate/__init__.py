"""What the detector found, read from its files and the audit log, for those who look into it."""
