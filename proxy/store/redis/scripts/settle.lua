-- Ends a reservation: its counts become what was used, its leases are given back.
--
-- KEYS: open, the reservation, one for each charge. ARGV: id, how long (ms) a request that comes
-- after this must not count, what was used of each charge. Returns 1, or 0 where there is no such
-- reservation. May be repeated: only the first call finds anything.

local open, reservation, id = KEYS[1], KEYS[2], ARGV[1]
local state = redis.call('GETDEL', reservation) or 't'
local letter = string.sub(state, 1, 1)
if letter == 't' then
  redis.call('SET', reservation, state, 'PX', ARGV[2])
  return 0
end

local used = {}
for j = 3, #KEYS do used[KEYS[j]] = ARGV[j] end
for _, key, kind, taken, floor, a, b in each(state) do
  if kind == 'c' then
    redis.call('ZREM', key, id)
  else
    local counted = letter == 'l' and floor or taken
    correct(kind, key, (used[key] or counted) - counted, a, b)
  end
end
redis.call('ZREM', open, id)
return 1
