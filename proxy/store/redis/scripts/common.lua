-- What all scripts share. A reservation is one string, and while it is open its id is a member of
-- the sorted set `open`, whose score (ms, clock of the callers) says when it is over. Its first
-- letter is its state:
--   o  open: when it is over, what was taken is corrected to its floor, and it is
--   l  lapsed: kept, so that a late settlement still corrects exactly
--   t  told before it was taken: a request that comes late must not count
-- Behind the letter are its charges as they came (see take.lua), with what was taken as the amount.
-- Numbers are doubles: whole up to 2^53.

local KEPT_MS = 3024000000        -- 35 days: longer than a calendar month
local LATE_MS = 2678400000        -- 31 days: what is settled when somebody fetches it may lie so long
local GRACE_MS = 120000
local LONGEST_MS = 1e14
local AT_ONCE = 16                -- reservations that one call lapses at most

local VALUES = 11                 -- of each charge

local function is_open(state) return string.sub(state, 1, 1) == 'o' end

-- A charge as reservations have it. What only taking asked for is nothing any more.
local function charge(key, kind, taken, floor, a, b)
  return cmsgpack.pack(key, kind, taken, floor, a, b, 0, 0, 0, 0, 0)
end

-- The charges of a reservation: where the next begins, then the values of each.
local function each(state)
  return function(_, at)
    if at > 0 then return cmsgpack.unpack_limit(state, VALUES, at) end
  end, nil, 1
end

-- How long so much takes to come back to a bucket (us); as takes_us in proxy/store/buckets.py.
local function takes_us(amount, window_s, rate)
  return math.ceil(amount * (window_s * 1e6) / rate)
end

-- Corrects one count. One that has gone stays gone, and none falls below nothing.
local function correct(kind, key, delta, a, b)
  if delta == 0 then return end
  if kind == 'f' then
    local n = redis.call('GET', key)
    if n then redis.call('SET', key, math.max(0, tonumber(n) + delta), 'KEEPTTL') end
  elseif kind == 'r' then
    local n = redis.call('HGET', key, a)
    if n then redis.call('HSET', key, a, math.max(0, tonumber(n) + delta)) end
  elseif kind == 'g' then
    local full = redis.call('GET', key)
    if not full then return end
    local off = takes_us(delta, a, b)
    redis.call('SET', key, math.max(0, tonumber(full) + off), 'KEEPTTL')
    if off > 0 then
      local left = redis.call('PTTL', key) + math.ceil(off / 1000)
      redis.call('PEXPIRE', key, math.min(LONGEST_MS, left))
    end
  end
end
