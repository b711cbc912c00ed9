-- The limits of a room: its hours, slots, rate and seats, and the calls and
-- sessions that they bound.

local RATE_PARTS = 100     -- the rate's time is counted in so many parts
local CATCH_UP_MS = 200    -- most that a late call makes up for
local CALLS_MAX = 2000     -- by one script, while everything else waits

local PASSTHROUGH, REJECT = 1, 2

-- True while numbers are issued.
local function takes_joins()
  local from = room.prequeue > 0 and room.prequeue or room.opens
  return room.mode ~= REJECT and now >= from
         and (room.closes == 0 or now < room.closes)
end

-- True from the opening to the close.
local function is_open()
  return now >= room.opens and (room.closes == 0 or now < room.closes)
end

-- Seats left, or nil where nobody says.
local function stock()
  local seats = tonumber(redis.call('GET', root .. ':stock') or nil)
  return seats and math.max(0, seats)
end

-- Numbers issued before the opening become places in random order.  The nodes
-- know the key, and deliver everybody who is there anew, by place.
local function hold_draw()
  if room.draw == 0 or line.held > 0 or now < room.opens or settling() then
    return
  end
  for _, seg in ipairs(redis.call('HKEYS', key('segs'))) do
    redis.call('DEL', key('w:' .. seg), key('p:' .. line.win .. ':' .. seg),
               key('p:' .. (line.win - 1) .. ':' .. seg))
  end
  line.held, line.drawn, line.lo = now, line.issued, 0
  line.life = math.max(line.life + 1, now)
  line.seq = line.seq + 1
  if line.issued > 0 then line.settle, line.awaits = now + REBUILD_MS, 0 end
end

-- How long a part is; when that has been changed, what was counted in the
-- parts of before is counted in the new ones.
local function part_width()
  local width = math.max(1, math.ceil(room.per / RATE_PARTS))
  if line.width == width then return width end
  for _, name in ipairs({'rc', 'rs'}) do
    local flat = redis.call('HGETALL', key(name))
    redis.call('DEL', key(name))
    for i = 1, #flat, 2 do
      local ms = (flat[i] + 1) * line.width - 1
      redis.call('HINCRBY', key(name), math.floor(ms / width), flat[i + 1])
    end
    keep(name)
  end
  line.width = width
  return width
end

-- How many were counted in the last "per" milliseconds.  A part of that time
-- counts until it lies outside as a whole, so that no window of that length,
-- wherever it begins, ever holds more than the rate.
local function counted(name)
  local width = part_width()
  local flat, sum = redis.call('HGETALL', key(name)), 0
  for i = 1, #flat, 2 do
    if (flat[i] + 1) * width + room.per > now then
      sum = sum + flat[i + 1]
    else
      redis.call('HDEL', key(name), flat[i])
    end
  end
  return sum
end

local function count(name, n)
  if room.rate == 0 or n == 0 then return end
  if room.mode == PASSTHROUGH then counted(name) end -- else nothing is dropped
  redis.call('HINCRBY', key(name), math.floor(now / part_width()), n)
  keep(name)
end

-- Milliseconds from one call to the next, a little more than the rate says,
-- since a part of its time counts longer than it lasts.
local function gap()
  return room.per * (1 + 1 / RATE_PARTS) / room.rate
end

-- How many may be called now for calls to come evenly spread: those that are
-- due since the last.  The rate may have been another when that was noted.
local function due()
  line.due = math.min(math.max(line.due, now - CATCH_UP_MS), now + gap())
  if line.due > now then return 0 end
  return math.floor((now - line.due) / gap()) + 1
end

local function remember(name, place)
  redis.call('ZADD', key(name), now, place)
  redis.call('ZREMRANGEBYRANK', key(name), 0, -HISTORY - 1)
  keep(name)
end

-- Ends the sessions and calls whose time is over.
local function expire()
  for _, place in ipairs(redis.call('ZRANGEBYSCORE', key('sess'), '-inf',
                                    now)) do
    redis.call('ZREM', key('sess'), place)
    redis.call('ZREM', key('begun'), place)
    remember('ended', place)
  end
  for _, place in ipairs(redis.call('ZRANGEBYSCORE', key('calls'), '-inf',
                                    now)) do
    redis.call('ZREM', key('calls'), place)
    remember('missed', place)
    line.missed = line.missed + 1
  end
  if now >= line.ghosts_until then line.ghosts = 0 end
end

-- What slots, seats and rate leave, at whatever pace.
local function left()
  local n, seats = CALLS_MAX, stock()
  local taken = line.ghosts + redis.call('ZCARD', key('sess'))
                + redis.call('ZCARD', key('calls'))
  if room.slots > 0 then n = math.min(n, room.slots - taken) end
  if seats and seats <= 0 then return 0 end
  if seats and room.per_seat > 0 then
    n = math.min(n, math.floor(seats * room.per_seat / 1000) - taken)
  end
  if room.rate > 0 then n = math.min(n, room.rate - counted('rc')) end
  return math.max(0, n)
end

-- How many more may be called now.
local function free()
  if settling() then return 0 end
  if room.mode == REJECT or not is_open() then return 0 end
  if room.mode == PASSTHROUGH then return CALLS_MAX end
  if room.paused == 1 then return 0 end
  local n = left()
  if room.rate > 0 then n = math.min(n, due()) end
  return n
end

-- Notes n calls; "line.due" is when the next may follow.
local function spend(n)
  if n == 0 then return end
  count('rc', n)
  if room.rate > 0 then line.due = line.due + n * gap() end
  line.total = line.total + n
  line.seq = line.seq + 1
end

-- Calls those in line, lowest place first, up to a limit; returns how many.
local function call(limit)
  local n = 0
  while n < limit do
    local place = first()
    if not place then break end
    take_out_of_line(place)
    redis.call('ZADD', key('calls'), now + room.claim, place)
    line.called = math.max(line.called, place)
    n = n + 1
  end
  if n > 0 then keep('calls') end
  spend(n)
  return n
end

-- When the session of a place ends for good, however often it is renewed.
local function last_end(place, ends)
  local begun = redis.call('ZSCORE', key('begun'), place)
  if not begun or room.max == 0 then return ends end
  return math.max(ends, begun + room.max)
end

-- Begins the session of a place; returns when it ends, and when at the latest
-- where it is renewed.
local function admit(place)
  local ends = now + room.session
  set_bit('gone', place, 1)
  set_bit('used', place, 1)
  redis.call('ZREM', key('calls'), place)
  redis.call('ZADD', key('sess'), ends, place)
  redis.call('ZADD', key('begun'), now, place)
  keep('sess')
  keep('begun')
  line.called = math.max(line.called, place)
  line.begun = line.begun + 1
  line.seq = line.seq + 1
  return ends, last_end(place, ends)
end

-- A place, a call or a session ends for good before its time.
local function give_up(place)
  redis.call('ZREM', key('sess'), place)
  redis.call('ZREM', key('begun'), place)
  redis.call('ZREM', key('calls'), place)
  set_bit('used', place, 1)
  take_out_of_line(place)
  remember('given', place)
  line.seq = line.seq + 1
end

-- True when the rate leaves room for one more session to begin now.
local function may_begin()
  return room.rate == 0 or room.mode == PASSTHROUGH
         or counted('rs') < room.rate
end

-- What is due at any time, whoever asks.
local function go_on()
  expire()
  turn_window()
  hold_draw()
end

-- What every answer begins with.
local function answer(word, ...)
  if not line then return { word, now, 0, 0, 0, 0, ... } end
  return { word, now, line.epoch, line.seq, line.issued, line.called, ... }
end

-- What each script about one place begins with: returns what to answer where
-- it cannot go on.
local function begin()
  if not open() then return answer('settling') end
  go_on()
  if misplaced() then
    save()
    return answer('settling')
  end
end
