-- Which replicas are alive. KEYS: the sorted set. ARGV: id, now (ms), horizon (ms). Returns how many.

redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', tonumber(ARGV[2]) - tonumber(ARGV[3]))
redis.call('PEXPIRE', KEYS[1], KEPT_MS)
return redis.call('ZCARD', KEYS[1])
