-- What an operator asks: reads the state of a room instance, or changes it and
-- notes in the audit stream who did and what.
--
-- Own ARGV  1 command   2 who asks   3 and on: its arguments
--           get
--           set     "name=value ..." of settings; "name=" for what nginx.conf
--                   says
--           reset   key of the next draw: a new epoch begins
--           call    how many to call now, whatever the pace and even when
--                   paused; hours, slots, rate and seats still hold
--           revoke  place, number: ends the session, or gives up the place
--           audit   how many of the latest changes to tell
-- Result    the answer's head, whose word is
--           "ok", with: what the command did (how many called, or revoked; the
--             new epoch; 0), sessions, calls outstanding, calls ever made,
--             sessions ever begun, calls missed, in line, settling (1 or 0),
--             seats left (-1: unknown), when the draw was held (0: not), how
--             many took part, version of the settings, settings; and for
--             audit, of each change: when, who, what, more about it;
--           "settling": nothing can be said, or has been done: ask again in a
--             moment; "unknown": the number has not been issued

if not open() then return answer('settling') end
go_on()

local command, who = ARGV[OWN + 1], ARGV[OWN + 2]

local function note(what, more)
  redis.call('XADD', root .. ':audit', 'MAXLEN', '~', 10000, '*',
             'at', now, 'who', who, 'what', what, 'more', more)
  line.seq = line.seq + 1
end

-- Settings with changes applied, in the order of their names.
local function changed(text, changes)
  local value, names, pairs_of = {}, {}, {}
  for _, part in ipairs({ text, changes }) do
    for name, new in string.gmatch(part, '([%w_]+)=(%d*)') do
      value[name] = new ~= '' and new or nil
    end
  end
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    pairs_of[#pairs_of + 1] = name .. '=' .. value[name]
  end
  return table.concat(pairs_of, ' ')
end

local function in_line()
  local sum = 0
  for _, seg in ipairs(redis.call('HKEYS', key(space('segs')))) do
    sum = sum + redis.call('BITCOUNT', key(space('w:' .. seg)))
  end
  return sum
end

local run = {}

function run.get() return 0 end

function run.audit() return 0 end

function run.set(changes)
  line.set = changed(line.set, changes)
  line.set_ver = math.max(line.set_ver + 1, now)
  read_policy(ARGV[8])
  read_policy(line.set)
  note('set', changes)
  return 0
end

-- Who has been admitted must not stay beside those who come now: sessions go
-- at once, and nobody is let in before the nodes have heard of the epoch.
-- What was called counts against the rate still.
function run.reset(draw_key)
  local before = line
  redis.call('UNLINK', key('sess'), key('calls'), key('ids'))
  local counted_in = { rc = key('rc'), rs = key('rs') }
  note('reset', 'epoch ' .. before.epoch)
  line = new_line(math.max(before.epoch + 1, tonumber(time[1])), before.run)
  line.set, line.set_ver = before.set, before.set_ver
  line.draw_key, line.life = draw_key, math.max(before.life + 1, now)
  line.ver = before.ver + VER_STEP
  line.settle = now + REBUILD_MS
  line.due, line.width = before.due, before.width
  for name, was in pairs(counted_in) do
    if redis.call('EXISTS', was) == 1 then
      redis.call('RENAME', was, key(name))
    end
  end
  touched = {}
  return line.epoch
end

function run.call(wanted)
  local n = 0
  if not settling() and is_open() and room.mode ~= REJECT then
    n = call(math.min(tonumber(wanted), left()))
  end
  note('call', n .. ' of ' .. wanted)
  return n
end

-- The node has made the place of the number by what it knows of the epoch and
-- its draw.
function run.revoke(place, number)
  if node.epoch ~= line.epoch or misplaced() then return nil, 'settling' end
  if tonumber(number) > line.issued then return nil, 'unknown' end
  give_up(tonumber(place))
  note('revoke', 'number ' .. number)
  return 1
end

local done, refused = run[command](unpack(ARGV, OWN + 3))
save()
if refused then return answer(refused) end

local result = answer(
  'ok', done, redis.call('ZCARD', key('sess')),
  redis.call('ZCARD', key('calls')), line.total, line.begun, line.missed,
  in_line(), settling() and 1 or 0, stock() or -1, line.held, line.drawn,
  line.set_ver, line.set)
if command == 'audit' then
  local latest = redis.call('XREVRANGE', root .. ':audit', '+', '-', 'COUNT',
                            ARGV[OWN + 3])
  for _, entry in ipairs(latest) do
    for i = 2, 8, 2 do result[#result + 1] = entry[2][i] end
  end
end
return result
