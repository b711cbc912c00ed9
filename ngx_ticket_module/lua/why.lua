-- What has happened to a place, as far as the state still tells.
--
-- Own ARGV  1 epoch of the token   2 the place   3 its number
-- Result    the answer's head, whose word is "ok", with: a kind and a time in
--           ms, of each event, oldest first; "past": the epoch is over;
--           "settling": nothing can be said yet

local refusal = begin()
if refusal then return refusal end

local epoch, place, number =
  tonumber(ARGV[OWN + 1]), tonumber(ARGV[OWN + 2]), tonumber(ARGV[OWN + 3])
local events = {}

local function tell(kind, at)
  if at then events[#events + 1] = { kind, tonumber(at) } end
end

local function score(name)
  return tonumber(redis.call('ZSCORE', key(name), place) or nil)
end

if epoch ~= line.epoch then
  save()
  return answer('past')
end

if line.held > 0 and number <= line.drawn then tell('drawn', line.held) end
tell('missed', score('missed'))
tell('returned', score('back'))
local deadline = score('calls')
tell('called', deadline and deadline - room.claim)
tell('claimed', score('begun'))
tell('expired', score('ended'))
tell('left', score('given'))
table.sort(events, function(a, b) return a[2] < b[2] end)

local flat = {}
for _, event in ipairs(events) do
  flat[#flat + 1] = event[1]
  flat[#flat + 1] = event[2]
end
save()
return answer('ok', unpack(flat))
