-- The line of one room instance in Redis: what every script shares.  The
-- build puts this file in front of each of the others.
--
-- Everything that limits, orders or forgets is decided here, by Redis's
-- clock, inside one script at a time, so that any number of nodes may ask at
-- once.
--
-- KEYS[1]  ticket:{INSTANCE}, the state below (a hash); every other key
--          begins with it and so lives in the same slot of a cluster
-- ARGV     1 name of the node
--          2 its epoch (0: none known)   3 highest number it knows issued
--          4 highest it knows called     5 highest seq it has seen
--          6 life of its snapshot (0: it has none)
--          7 slots (0: no limit)         8 rate (0: no limit)
--          9 per, ms   10 session, ms   11 claim, ms   12 liveness, ms
--         13 and on: the script's own
--
-- Keys, with E the epoch, W a presence window and S a segment of 32,768
-- numbers:
--   root:nodes   hash  node -> "RUN MS": when it last spoke to which server
--   root:E:sess  zset  number -> when its session ends
--   root:E:calls zset  number -> until when it may claim
--   root:E:p:W:S bits  who polled in this window
--   root:E:gone:S bits called, admitted or gone, hence not in line
--   root:E:used:S bits had a session, or gave the place up
--   root:E:w:S   bits  in line: polled in this window or the last, not gone
--   root:E:segs  hash  S -> version of the last change of w
--   root:E:rc, root:E:rs  hash  stretch of time -> calls, sessions begun
--
-- Fields of the state:
--   epoch, issued, called; total: all calls ever made in the epoch
--   seq: counts what must not be forgotten; a node that has seen a higher one
--     tells that Redis lost something
--   life: changes with each such loss, and nodes then deliver all they know
--   run: the server's run_id; settle: no issuing and calling before this time,
--     unless all nodes have spoken (awaits = 1) since the server changed;
--     stopped: "last" as it was when that was noticed
--   ghosts, ghosts_until: slots taken by sessions that a loss made unknown
--   win, clock, turned, last: presence windows; their clock goes on only
--     while exchanges go on, so that an outage makes nobody absent
--   lo: lowest segment that may hold somebody; ver: of w; kept: TTLs renewed

local SEG = 32768
local SEGS_MAX = 1024
local MARGIN = 10000       -- numbers skipped when the highest may be forgotten
local SETTLE_MS = 5000     -- to wait for the nodes after a restart
local REBUILD_MS = 2000    -- to wait for what they know after a loss
local CLOCK_STEP_MS = 2000 -- most that presence ages between two scripts
local KEEP_MS = 7 * 86400 * 1000
local KEPT_MS = 3600 * 1000
local RATE_PARTS = 100     -- the rate's time is counted in so many parts
local VER_STEP = 1000000   -- above all versions given out and then forgotten

local root = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local node = {
  name = ARGV[1], epoch = tonumber(ARGV[2]), issued = tonumber(ARGV[3]),
  called = tonumber(ARGV[4]), seq = tonumber(ARGV[5]),
  life = tonumber(ARGV[6])
}
local room = {
  slots = tonumber(ARGV[7]), rate = tonumber(ARGV[8]), per = tonumber(ARGV[9]),
  session = tonumber(ARGV[10]), claim = tonumber(ARGV[11]),
  liveness = tonumber(ARGV[12])
}
local line     -- the state, between open() and save()
local touched = {}

local function key(name)
  return root .. ':' .. line.epoch .. ':' .. name
end

local function keep(name)
  redis.call('PEXPIRE', key(name), KEEP_MS)
end

local function load_line()
  local flat = redis.call('HGETALL', root)
  if #flat == 0 then return nil end
  local state = {}
  for i = 1, #flat, 2 do
    state[flat[i]] = flat[i] == 'run' and flat[i + 1] or tonumber(flat[i + 1])
  end
  return state
end

local function new_line(epoch, run)
  return {
    epoch = epoch, issued = 0, called = 0, total = 0, seq = 0, life = now,
    run = run, settle = 0, awaits = 0, ghosts = 0, ghosts_until = 0,
    win = 1, clock = 0, turned = 0, last = now, lo = 0, ver = 1, kept = now
  }
end

-- Something this node knows is not here: it was acknowledged, and lost.
local function lose()
  line.issued = math.max(line.issued, node.issued) + MARGIN
  line.called = math.max(line.called, node.called)
  line.seq = math.max(line.seq, node.seq)
  line.life = math.max(line.life + 1, now)
  line.settle, line.awaits = now + REBUILD_MS, 0
  line.ghosts_until = now + room.session
  if room.slots > 0 then
    line.ghosts = math.max(0, room.slots - redis.call('ZCARD', key('sess'))
                              - redis.call('ZCARD', key('calls')))
  end
end

-- True when every node that spoke shortly before the server changed has
-- spoken to the new one.
local function all_heard()
  local flat = redis.call('HGETALL', root .. ':nodes')
  for i = 1, #flat, 2 do
    local run, seen = string.match(flat[i + 1], '^(%S+) (%d+)$')
    if run ~= line.run and tonumber(seen) > line.stopped - SETTLE_MS then
      return false
    end
  end
  return true
end

local function settle()
  if line.settle == 0 then return end
  if line.awaits == 1 and all_heard() then
    line.settle = 0
  elseif now >= line.settle then
    if line.awaits == 1 then lose() else line.settle = 0 end
  end
end

-- A restart, or a replica that took over: perhaps it is behind what the nodes
-- have seen, so that they wait for each other and fetch all of it again.
local function change_server(run)
  line.run, line.stopped = run, line.last
  line.settle, line.awaits = now + SETTLE_MS, 1
  line.ver = line.ver + VER_STEP
  for _, seg in ipairs(redis.call('HKEYS', key('segs'))) do
    touched[tonumber(seg)] = true
  end
end

-- Loads the state, or makes it: anew, or from what the node knows.  Where
-- there is one, only a node that has itself seen a later epoch (it has a
-- snapshot) can tell that Redis went back; a token cannot.
local function open()
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  line = load_line()
  if not line or (node.life > 0 and node.epoch > line.epoch) then
    line = new_line(node.epoch > 0 and node.epoch or tonumber(time[1]), run)
    if node.epoch > 0 then lose() end
  end
  if line.run ~= run then change_server(run) end
  if node.epoch == line.epoch then
    if node.seq > line.seq then
      if line.settle > 0 and line.awaits == 0 then
        line.seq = node.seq -- the loss is known
      else
        lose()
      end
    end
    line.issued = math.max(line.issued, node.issued)
    line.called = math.max(line.called, node.called)
  end
  redis.call('HSET', root .. ':nodes', node.name, run .. ' ' .. now)
  settle()
  line.clock = line.clock + math.max(0, math.min(now - line.last,
                                                 CLOCK_STEP_MS))
  line.last = now
end

local function settling()
  return line.settle > 0
end

-- Renews the time to live of all that belongs to the epoch.
local function keep_all()
  line.kept = now
  redis.call('PEXPIRE', root .. ':nodes', KEEP_MS)
  for _, name in ipairs({'sess', 'calls', 'segs', 'rc', 'rs'}) do keep(name) end
  for seg = 0, math.floor(line.issued / SEG) do
    keep('gone:' .. seg)
    keep('used:' .. seg)
    keep('w:' .. seg)
  end
end

local function save()
  if next(touched) then
    line.ver = line.ver + 1
    for seg in pairs(touched) do
      redis.call('HSET', key('segs'), seg, line.ver)
      keep('w:' .. seg)
    end
    keep('segs')
  end
  if now - line.kept > KEPT_MS then keep_all() end
  local flat = {}
  for field, value in pairs(line) do
    flat[#flat + 1] = field
    flat[#flat + 1] = value
  end
  redis.call('HSET', root, unpack(flat))
  redis.call('PEXPIRE', root, KEEP_MS)
end

local function place_of(number)
  return math.floor(number / SEG), number % SEG
end

local function get_bit(name, number)
  local seg, bit = place_of(number)
  return redis.call('GETBIT', key(name .. ':' .. seg), bit) == 1
end

-- Bitmaps that are combined have their full length from the first bit on.
local function set_bit(name, number, value)
  local seg, bit = place_of(number)
  name = name .. ':' .. seg
  if redis.call('EXISTS', key(name)) == 0 then
    redis.call('SETBIT', key(name), SEG - 1, 0)
    keep(name)
  end
  redis.call('SETBIT', key(name), bit, value)
  return seg
end

local function put_in_line(number)
  set_bit('p:' .. line.win, number, 1)
  local seg = set_bit('w', number, 1)
  touched[seg] = true
  line.lo = math.min(line.lo, seg)
end

local function take_out_of_line(number)
  set_bit('gone', number, 1)
  touched[set_bit('w', number, 0)] = true
end

-- Who is in line in a segment, anew from its windows.
local function rebuild(seg)
  local tmp, inv, w = key('tmp'), key('inv'), key('w:' .. seg)
  redis.call('BITOP', 'OR', tmp, key('p:' .. line.win .. ':' .. seg),
             key('p:' .. (line.win - 1) .. ':' .. seg))
  if redis.call('EXISTS', key('gone:' .. seg)) == 1 then
    redis.call('BITOP', 'NOT', inv, key('gone:' .. seg))
    redis.call('BITOP', 'AND', tmp, tmp, inv)
  end
  local bits = redis.call('GET', tmp) or ''
  if bits ~= (redis.call('GET', w) or '') then
    redis.call('SET', w, bits)
    touched[seg] = true
    line.lo = math.min(line.lo, seg)
  end
  redis.call('DEL', tmp, inv)
end

-- Begins a new presence window when it is time; the last but one is dropped.
local function turn_window()
  if line.clock - line.turned < room.liveness then return end
  line.turned = line.clock
  line.win = line.win + 1
  for _, seg in ipairs(redis.call('HKEYS', key('segs'))) do
    redis.call('DEL', key('p:' .. (line.win - 2) .. ':' .. seg))
    rebuild(seg)
  end
end

-- Lowest number in line, or nil.
local function first()
  local last = math.floor(line.issued / SEG)
  while line.lo <= last do
    local bit = redis.call('BITPOS', key('w:' .. line.lo), 1)
    if bit >= 0 then return line.lo * SEG + bit end
    line.lo = line.lo + 1
  end
  line.lo = last
  return nil
end

-- How many were counted in the last "per" milliseconds.  A part of that time
-- counts until it lies outside as a whole, so that no window of that length,
-- wherever it begins, ever holds more than the rate.
local function counted(name)
  local width = math.max(1, math.ceil(room.per / RATE_PARTS))
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
  local width = math.max(1, math.ceil(room.per / RATE_PARTS))
  redis.call('HINCRBY', key(name), math.floor(now / width), n)
  keep(name)
end

-- Ends the sessions and calls whose time is over.
local function expire()
  redis.call('ZREMRANGEBYSCORE', key('sess'), '-inf', now)
  redis.call('ZREMRANGEBYSCORE', key('calls'), '-inf', now)
  if now >= line.ghosts_until then line.ghosts = 0 end
end

-- How many more may be called now.
local function free()
  if settling() then return 0 end
  local n = SEG
  if room.slots > 0 then
    n = room.slots - line.ghosts - redis.call('ZCARD', key('sess'))
        - redis.call('ZCARD', key('calls'))
  end
  if room.rate > 0 then n = math.min(n, room.rate - counted('rc')) end
  return math.max(0, n)
end

-- Calls those in line, lowest number first, as far as the limits allow.
local function call()
  local limit, n = free(), 0
  while n < limit do
    local number = first()
    if not number then break end
    take_out_of_line(number)
    redis.call('ZADD', key('calls'), now + room.claim, number)
    line.called = math.max(line.called, number)
    n = n + 1
  end
  if n > 0 then
    keep('calls')
    count('rc', n)
    line.total = line.total + n
    line.seq = line.seq + 1
  end
end

-- Begins the session of a number; returns when it ends.
local function admit(number)
  local ends = now + room.session
  set_bit('gone', number, 1)
  set_bit('used', number, 1)
  redis.call('ZREM', key('calls'), number)
  redis.call('ZADD', key('sess'), ends, number)
  keep('sess')
  line.called = math.max(line.called, number)
  line.seq = line.seq + 1
  return ends
end

-- True when the rate leaves room for one more session to begin now.
local function may_begin()
  return room.rate == 0 or counted('rs') < room.rate
end

-- What every answer begins with.
local function answer(word)
  return { word, now, line.epoch, line.seq, line.issued, line.called }
end
