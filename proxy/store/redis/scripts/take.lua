-- Takes all charges if every binding one fits, else none of them.
--
-- KEYS: open, the reservation, one for each charge; those of kinds f and g come first.
-- ARGV: one text for the exchange, then one for each charge; each is values, one after the other, in
-- MessagePack.
--   The exchange: now (ms), id, end of the lease (ms), whether to take or only to look, whether to
--   sweep `open` and put off its end, how many charges are of kinds f and g.
--   A charge: key, kind, amount, floor, a, b, c, limit, least (-1: none), whether it binds, parents
--   (false: none; true: not read yet; else what a count that is not there begins with: one value,
--   or of r part, count, part, count …). By kind, a, b and c are
--     f fixed:      0, 0, milliseconds to live or 0 for ever
--     r rolling:    part, oldest part that counts, milliseconds to live
--     g bucket:     seconds of the window, rate, now (us)
--     c concurrent: 0, 0, 0
-- Returns 1 (taken), 0 (not taken) or 2 (read the parents first; nothing was counted), then what
-- was there before, for each charge: f, c: count; g: when full (us); r: count, last part (-1: none),
-- part that must leave the window before the charge fits (-1: none).
--
-- This runs for every exchange, and Lua costs more of it than the commands do: arguments are few,
-- and what a charge leaves in the reservation is what came.

local call, unpacked, KEYS, ARGV = redis.call, cmsgpack.unpack, KEYS, ARGV
local open, reservation, n = KEYS[1], KEYS[2], #KEYS - 2
local now, id, lease, takes, sweeps, plain = unpacked(ARGV[1])

if sweeps then sweep(open, reservation, id, now) end
local values = call('MGET', unpack(KEYS, 2, 2 + plain))

local again  -- the same take once more: by key, what it took, and in which part
if takes and values[1] then
  takes = is_open(values[1])
  if takes then
    again = {}
    for _, key, _, taken, _, part in each(values[1]) do
      again[key] = {taken = taken, part = part}
    end
  end
end

local asks = false

-- What a count that is not there begins with; also sets `asks`.
local function first(parents)
  if parents == true then asks = true end
  return type(parents) == 'table' and parents[1] or 0
end

local function read_lease(key, parents)
  call('ZREMRANGEBYSCORE', key, '-inf', now)
  local count = call('ZCARD', key)
  if again and call('ZSCORE', key, id) then count = count - 1 end
  return count > 0 and count or first(parents)
end

-- The count in the window, the last part, the part that must leave before `needs` fit, and what is
-- to be done first where it is counted: parts to write, or parts to delete.
local function read_rolling(key, oldest, needs, limit, parents)
  local own, parts, begins, gone = again and again[key], call('HGETALL', key), nil, {}
  if #parts == 0 then
    first(parents)
    begins = type(parents) == 'table' and parents or parts
    parts = begins
  end
  local order, count, last = {}, 0, -1
  for p = 1, #parts, 2 do
    local part, amount = tonumber(parts[p]), tonumber(parts[p + 1])
    if own and part == own.part then amount = amount - own.taken end
    if part < oldest then
      gone[#gone + 1] = parts[p]
    elseif amount ~= 0 then
      count = count + amount
      if part > last then last = part end
      order[#order + 1] = {part, amount}
    end
  end
  local left, leaves = count, -1
  if left + needs > limit then
    table.sort(order, function(one, other) return one[1] < other[1] end)
    for _, held_part in ipairs(order) do
      if left + needs <= limit then break end
      left, leaves = left - held_part[2], held_part[1]
    end
  end
  return count, last, leaves, begins, gone
end

-- With room for four charges: a table that grows is made anew each time.
local reply, kinds, befores, amounts, cs = {1, nil, nil, nil}, {nil, nil, nil, nil},
  {nil, nil, nil, nil}, {nil, nil, nil, nil}, {nil, nil, nil, nil}
local as, bs, begun, gone = {}, {}, {}, {}
local told, fits_not = 1, false
for j = 1, n do
  local key, kind, amount, floor, a, b, c, limit, least, binds, parents = unpacked(ARGV[j + 1])
  local before
  told = told + 1
  if kind == 'f' then
    before = tonumber(values[j + 1] or first(parents))
    if again then before = math.max(0, before - again[key].taken) end
    reply[told], befores[j] = before, before
  elseif kind == 'g' then
    local full = tonumber(values[j + 1] or first(parents))
    if again then full = math.max(0, full - takes_us(again[key].taken, a, b)) end
    reply[told], befores[j], as[j], bs[j] = full, full, a, b
    before = full <= c and 0 or math.ceil((full - c) * b / (a * 1e6) - 1e-6)
  elseif kind == 'r' then
    before, reply[told + 1], reply[told + 2], begun[j], gone[j] =
      read_rolling(key, b, least < 0 and amount or least, limit, parents)
    reply[told], as[j], bs[j] = before, a, b
    told = told + 2
  else
    before = read_lease(key, parents)
    reply[told] = before
  end
  local left = limit - before  -- as Charge.granted and Charge.taken
  if binds and amount > left and amount ~= 0 then
    if least < 0 or least > left then fits_not = true end
    amount = left
    ARGV[j + 1] = charge(key, kind, amount, math.min(floor, amount), a, b)
  end
  kinds[j], amounts[j], cs[j] = kind, amount, c
end

if asks then return {2} end
if again then return reply end
if fits_not or not takes then
  reply[1] = 0
  return reply
end

local function count_fixed(key, is_there, before, amount, lives_ms)
  if is_there then
    call('INCRBY', key, amount)  -- and it goes when it would have gone
  elseif lives_ms == 0 then
    call('SET', key, before + amount)
  else
    call('SET', key, before + amount, 'PX', lives_ms)
  end
end

local function count_bucket(key, before, amount, window_s, rate, at_us)
  local full = math.max(before, at_us) + takes_us(amount, window_s, rate)
  local lives_ms = math.ceil((full - at_us) / 1000) + GRACE_MS
  call('SET', key, full, 'PX', math.max(1, math.min(LONGEST_MS, lives_ms)))
end

local function count_rolling(key, amount, part, oldest, lives_ms, begins, old)
  for p = 1, begins and #begins or 0, 2 do
    if begins[p] >= oldest then call('HSET', key, begins[p], begins[p + 1]) end
  end
  if not begins and #old > 0 then call('HDEL', key, unpack(old)) end
  call('HINCRBY', key, part, amount)
  call('PEXPIRE', key, lives_ms)
end

for j = 1, n do
  local key, kind, amount = KEYS[j + 2], kinds[j], amounts[j]
  if kind == 'f' then
    count_fixed(key, values[j + 1], befores[j], amount, cs[j])
  elseif kind == 'g' then
    count_bucket(key, befores[j], amount, as[j], bs[j], cs[j])
  elseif kind == 'r' then
    count_rolling(key, amount, as[j], bs[j], cs[j], begun[j], gone[j])
  else
    call('ZADD', key, lease, id)
    call('PEXPIRE', key, math.max(1, lease - now + GRACE_MS))
  end
end
call('SET', reservation, 'o' .. table.concat(ARGV, '', 2), 'PX', KEPT_MS)
call('ZADD', open, lease, id)
if sweeps then call('PEXPIRE', open, KEPT_MS) end
return reply
