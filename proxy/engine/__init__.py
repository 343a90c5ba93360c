"""Plan, judge, settle: plain functions over frozen values."""
