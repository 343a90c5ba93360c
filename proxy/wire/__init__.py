"""Provider dialects: requests, responses and refusals in the caller's own protocol."""
