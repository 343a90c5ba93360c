"""What a check of quotas costs: in memory, and in Redis against a script that does nothing."""
