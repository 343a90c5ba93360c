"""Many clients at once on one limit, before one gateway process or several that share a store."""
