-- Delivers who polled at a node, ends and calls what is due, and returns the
-- line as it is now.
--
-- ARGV[13]  version of the waiting bitmap the node has
-- ARGV[14]  and on: segment, offset in bytes, bits; of each segment with polls
-- Result    "ok" with the answer's head, then: life, version, sessions, calls
--           outstanding, calls ever made, settling (1 or 0), and segment and
--           bits of each segment that changed since the node's version;
--           "resend" with the answer's head and life: Redis has lost
--           something, so deliver everybody known to be in line

open()

if node.life ~= 0 and node.epoch == line.epoch and node.life ~= line.life then
  save()
  local result = answer('resend')
  result[#result + 1] = line.life
  return result
end

for i = 14, #ARGV, 3 do
  local seg, bits = ARGV[i], string.rep('\0', ARGV[i + 1]) .. ARGV[i + 2]
  local window = 'p:' .. line.win .. ':' .. seg
  if #bits < SEG / 8 then bits = bits .. string.rep('\0', SEG / 8 - #bits) end
  redis.call('SET', key('tmp'), bits)
  redis.call('BITOP', 'OR', key(window), key(window), key('tmp'))
  keep(window)
  rebuild(tonumber(seg))
end

expire()
turn_window()
call()
save()

local since = tonumber(ARGV[13])
if node.epoch ~= line.epoch or node.life ~= line.life then since = 0 end

local result = answer('ok')
for _, value in ipairs({
  line.life, line.ver, redis.call('ZCARD', key('sess')),
  redis.call('ZCARD', key('calls')), line.total, settling() and 1 or 0
}) do
  result[#result + 1] = value
end
if since < line.ver then
  local segs = redis.call('HGETALL', key('segs'))
  for i = 1, #segs, 2 do
    if tonumber(segs[i + 1]) > since then
      result[#result + 1] = tonumber(segs[i])
      result[#result + 1] = redis.call('GET', key('w:' .. segs[i])) or ''
    end
  end
end
return result
