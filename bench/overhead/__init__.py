"""What Gauger adds to an exchange: throughput, latency and memory against a bare pass-through."""
