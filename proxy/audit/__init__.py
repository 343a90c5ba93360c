"""The log that proves what was decided: chained records, durable in groups, verifiable."""
