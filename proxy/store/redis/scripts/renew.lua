-- Says that an exchange goes on: a new end of its leases, and a new floor. One that had lapsed is
-- open again, with all that it took.
--
-- KEYS: open, the reservation, one for each charge. ARGV: id, now (ms), end of the lease (ms), floor
-- of each charge. Returns 1, or 0 where there is no such reservation. May be repeated.

local open, reservation, id, lease = KEYS[1], KEYS[2], ARGV[1], ARGV[3]
local state = redis.call('GET', reservation) or 't'
local letter = string.sub(state, 1, 1)
if letter == 't' then return 0 end

local floors, renewed = {}, {'o'}
for j = 3, #KEYS do floors[KEYS[j]] = ARGV[j + 1] end
for _, key, kind, taken, floor, a, b in each(state) do
  if kind == 'c' then
    redis.call('ZADD', key, lease, id)
    redis.call('PEXPIRE', key, math.max(1, lease - ARGV[2] + GRACE_MS))
  else
    if letter == 'l' then correct(kind, key, taken - floor, a, b) end
    floor = math.min(taken, floors[key] or floor)
  end
  table.insert(renewed, charge(key, kind, taken, floor, a, b))
end
redis.call('SET', reservation, table.concat(renewed), 'PX', KEPT_MS)
redis.call('ZADD', open, lease, id)
return 1
