-- What is open and over by now lapses. `own` (the key of a reservation) ends with `own_id`, and the
-- key of any other of the slot with its id instead.

local function sweep(open, own, own_id, now)
  local before = string.sub(own, 1, -1 - #own_id)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', open, '-inf', now, 'LIMIT', 0, AT_ONCE)) do
    local reservation = before .. id
    local state = redis.call('GET', reservation)
    if state and is_open(state) then
      for _, key, kind, taken, floor, a, b in each(state) do
        if kind == 'c' then
          redis.call('ZREM', key, id)
        else
          correct(kind, key, floor - taken, a, b)
        end
      end
      redis.call('SET', reservation, 'l' .. string.sub(state, 2), 'PX', LATE_MS)
    end
    redis.call('ZREM', open, id)
  end
end
