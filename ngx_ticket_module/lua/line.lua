-- The line of one room instance in Redis: its state, and the bitmaps of who
-- stands in it.  The build puts this file and limits.lua in front of each of
-- the others.
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
--          7 doubt: 1 when it has lost its connection a moment ago
--          8 policy: the room in nginx.conf, "slots=100 rate=0 ..."
--          9 version of the settings changed at run time that it knows, and
--         10 these settings, in the same form ("": none)
--         11 when the draw was held, as it knows (0: not)
--         12 how many took part   13 key of the draw, hexadecimal
--         14 and on: the script's own
--
-- Policy   slots, rate (0: no limit), per, session, max (the longest that a
--          session is renewed for; 0: it is not), claim, liveness: ms;
--          mode: 0 fifo, 1 passthrough, 2 reject; paused, queue_all, draw:
--          0 or 1; per_seat: admitted per 1000 seats left (0: no limit);
--          prequeue, opens, closes: Unix ms (0: none)
--
-- Keys, with E the epoch, W a presence window and S a segment of 32,768
-- places; a place is a number, or what the draw made of it:
--   root:stock   seats left; absent: unknown.  Set by whoever sells them
--   root:audit   stream of what operators have changed
--   root:doubt   until when nodes may bring back what Redis has lost
--   root:nodes   hash  node -> "RUN MS": when it last spoke to which server
--   root:E:sess  zset  place -> when its session ends
--   root:E:begun zset  place -> when its session began
--   root:E:calls zset  place -> until when it may claim
--   root:E:missed, root:E:back, root:E:ended, root:E:given  zset  place ->
--     when it missed its call, came back, its session ran out, it was given
--     up: the latest, for "why"
--   root:E:ids   hash  identity -> number
--   root:E:rc, root:E:rs  hash  stretch of time -> calls, sessions begun
-- and, in a space of their own after the draw (root:E:d:...):
--   root:E:p:W:S bits  who polled in this window
--   root:E:gone:S bits called, admitted or gone, hence not in line
--   root:E:used:S bits had a session, or gave the place up
--   root:E:w:S   bits  in line: polled in this window or the last, not gone
--   root:E:segs  hash  S -> version of the last change of w
--
-- Fields of the state:
--   epoch, issued, called; total, begun, missed: calls ever made, sessions
--     ever begun, calls never claimed, in the epoch
--   seq: counts what must not be forgotten; a node that has seen a higher one
--     tells that Redis lost something
--   life: changes with each such loss, and nodes then deliver all they know
--   run: the server's run_id; settle: no issuing and calling before this time,
--     unless all nodes have spoken (awaits = 1) since the server changed;
--     stopped: "last" as it was when that was noticed
--   ghosts, ghosts_until: slots taken by sessions that a loss made unknown
--   win, clock, turned, last: presence windows; their clock goes on only
--     while exchanges go on, so that an outage makes nobody absent, and calls
--     wait for as long
--   lo: lowest segment that may hold somebody; ver: of w; kept: TTLs renewed
--   set, set_ver: settings changed at run time, and when
--   draw_key, held, drawn: the draw's key, when it was held (0: not yet), how
--     many took part
--   due: when the next may be called at an even pace; width: of the parts in
--     which rc and rs count

local SEG = 32768
local SEGS_MAX = 1024
local MARGIN = 10000       -- numbers skipped when the highest may be forgotten
local SETTLE_MS = 5000     -- to wait for the nodes after a restart
local REBUILD_MS = 2000    -- to wait for what they know after a loss
local CLOCK_STEP_MS = 2000 -- most that presence ages between two scripts
local KEEP_MS = 7 * 86400 * 1000
local KEPT_MS = 3600 * 1000
local DOUBT_MS = 5000      -- to wait for nodes that know what Redis forgot
local HISTORY = 10000      -- places of each kind that "why" can tell of
local VER_STEP = 1000000   -- above all versions given out and then forgotten

local root = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local node = {
  name = ARGV[1], epoch = tonumber(ARGV[2]), issued = tonumber(ARGV[3]),
  called = tonumber(ARGV[4]), seq = tonumber(ARGV[5]),
  life = tonumber(ARGV[6]), doubt = ARGV[7] == '1',
  set_ver = tonumber(ARGV[9]), set = ARGV[10],
  held = tonumber(ARGV[11]), drawn = tonumber(ARGV[12]), draw_key = ARGV[13]
}
local OWN = 13             -- ARGV[OWN + 1] is the script's first
local room = {}
local line     -- the state, between open() and save()
local loaded   -- as it was found
local touched = {}

local function read_policy(text)
  for name, value in string.gmatch(text, '([%w_]+)=(%d+)') do
    room[name] = tonumber(value)
  end
end

local function key(name)
  return root .. ':' .. line.epoch .. ':' .. name
end

-- Bitmaps are numbered by place: the draw begins new ones.
local function space(name)
  return line.held > 0 and 'd:' .. name or name
end

local function keep(name)
  redis.call('PEXPIRE', key(name), KEEP_MS)
end

local TEXT = { run = true, set = true, draw_key = true }

local function load_line()
  local flat = redis.call('HGETALL', root)
  if #flat == 0 then return nil end
  local state = {}
  loaded = {}
  for i = 1, #flat, 2 do
    local field, value = flat[i], flat[i + 1]
    state[field] = TEXT[field] and value or tonumber(value)
    loaded[field] = state[field]
  end
  return state
end

local function new_line(epoch, run)
  loaded = {}
  return {
    epoch = epoch, issued = 0, called = 0, total = 0, begun = 0, missed = 0,
    seq = 0, life = now, run = run, settle = 0, awaits = 0, ghosts = 0,
    ghosts_until = 0, win = 1, clock = 0, turned = 0, last = now, lo = 0,
    ver = 1, kept = now, set = '', set_ver = 0, draw_key = node.draw_key,
    held = 0, drawn = 0, due = 0, width = 0
  }
end

-- How long a pass may be good that was given a moment ago.
local function longest()
  return math.max(room.session, room.max)
end

-- Something this node knows is not here: it was acknowledged, and lost.
local function lose()
  line.issued = math.max(line.issued, node.issued) + MARGIN
  line.called = math.max(line.called, node.called)
  line.seq = math.max(line.seq, node.seq)
  line.life = math.max(line.life + 1, now)
  line.settle, line.awaits = now + REBUILD_MS, 0
  line.ghosts_until = now + longest()
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
  for _, seg in ipairs(redis.call('HKEYS', key(space('segs')))) do
    touched[tonumber(seg)] = true
  end
end

-- Redis may have forgotten a line that another node knows, and which that
-- node is about to bring back: what knows nothing waits for it.
local function in_doubt()
  if not node.doubt then return false end
  local until_ms = tonumber(redis.call('GET', root .. ':doubt') or 0)
  if until_ms == 0 then
    until_ms = now + DOUBT_MS
    redis.call('SET', root .. ':doubt', until_ms, 'PX', 4 * DOUBT_MS)
  end
  return now < until_ms
end

-- What the node knows of the settings and of the draw, where that is newer.
-- A draw from before the epoch began is that of another.
local function learn()
  if node.set_ver > line.set_ver then
    line.set, line.set_ver = node.set, node.set_ver
  end
  if node.epoch == line.epoch and node.held >= line.epoch * 1000
     and node.held > 0 and line.held == 0 then
    line.held, line.drawn, line.draw_key = node.held, node.drawn, node.draw_key
  end
end

-- After an outage nobody is absent, and nobody has missed a call, only for
-- its length.
local function go_on_from(last)
  local step = math.max(0, math.min(now - last, CLOCK_STEP_MS))
  local away = now - last - step
  line.clock = line.clock + step
  line.last = now
  if away > 0 then
    for _, place in ipairs(redis.call('ZRANGE', key('calls'), 0, -1)) do
      redis.call('ZINCRBY', key('calls'), away, place)
    end
  end
end

-- Loads the state, or makes it: anew, or from what the node knows.  Where
-- there is one, only a node that has itself seen a later epoch (it has a
-- snapshot) can tell that Redis went back; a token cannot.  Returns false
-- when nothing can be said yet.
local function open()
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local restored = false
  line = load_line()
  read_policy(ARGV[8])
  if not line and node.epoch == 0 and in_doubt() then return false end
  if not line or (node.life > 0 and node.epoch > line.epoch) then
    line = new_line(node.epoch > 0 and node.epoch or tonumber(time[1]), run)
    restored = node.epoch > 0
  end
  learn()
  read_policy(line.set)
  if restored then lose() end
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
  go_on_from(line.last)
  return true
end

-- True when the node does not know of the draw: its places are numbers still.
local function misplaced()
  return node.epoch == line.epoch and node.held ~= line.held
end

local function settling()
  return line.settle > 0
end

-- Renews the time to live of all that belongs to the epoch.
local function keep_all()
  line.kept = now
  redis.call('PEXPIRE', root .. ':nodes', KEEP_MS)
  for _, name in ipairs({
    'sess', 'begun', 'calls', 'missed', 'back', 'ended', 'given', 'ids', 'rc', 'rs',
    space('segs')
  }) do
    keep(name)
  end
  for seg = 0, math.floor(line.issued / SEG) do
    keep(space('gone:' .. seg))
    keep(space('used:' .. seg))
    keep(space('w:' .. seg))
  end
end

local function save()
  if next(touched) then
    line.ver = line.ver + 1
    for seg in pairs(touched) do
      redis.call('HSET', key(space('segs')), seg, line.ver)
      keep(space('w:' .. seg))
    end
    keep(space('segs'))
  end
  if now - line.kept > KEPT_MS then keep_all() end
  local flat = {}
  for field, value in pairs(line) do
    if loaded[field] ~= value then
      flat[#flat + 1] = field
      flat[#flat + 1] = value
    end
  end
  if #flat > 0 then redis.call('HSET', root, unpack(flat)) end
  redis.call('PEXPIRE', root, KEEP_MS)
end

local function get_bit(name, place)
  return redis.call('GETBIT', key(space(name .. ':' .. math.floor(place / SEG))),
                    place % SEG) == 1
end

-- Bitmaps that are combined have their full length from the first bit on.
local function set_bit(name, place, value)
  local seg = math.floor(place / SEG)
  name = space(name .. ':' .. seg)
  if redis.call('EXISTS', key(name)) == 0 then
    redis.call('SETBIT', key(name), SEG - 1, 0)
    keep(name)
  end
  redis.call('SETBIT', key(name), place % SEG, value)
  return seg
end

local function put_in_line(place)
  set_bit('p:' .. line.win, place, 1)
  local seg = set_bit('w', place, 1)
  touched[seg] = true
  line.lo = math.min(line.lo, seg)
end

local function take_out_of_line(place)
  set_bit('gone', place, 1)
  touched[set_bit('w', place, 0)] = true
end

-- Who is in line in a segment, anew from its windows.
local function rebuild(seg)
  local tmp, inv = key('tmp'), key('inv')
  local w, gone = key(space('w:' .. seg)), key(space('gone:' .. seg))
  redis.call('BITOP', 'OR', tmp, key(space('p:' .. line.win .. ':' .. seg)),
             key(space('p:' .. (line.win - 1) .. ':' .. seg)))
  if redis.call('EXISTS', gone) == 1 then
    redis.call('BITOP', 'NOT', inv, gone)
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
  for _, seg in ipairs(redis.call('HKEYS', key(space('segs')))) do
    redis.call('DEL', key(space('p:' .. (line.win - 2) .. ':' .. seg)))
    rebuild(seg)
  end
end

-- The place of whoever is first in line, or nil.
local function first()
  local last = math.floor(line.issued / SEG)
  while line.lo <= last do
    local bit = redis.call('BITPOS', key(space('w:' .. line.lo)), 1)
    if bit >= 0 then return line.lo * SEG + bit end
    line.lo = line.lo + 1
  end
  line.lo = last
  return nil
end
