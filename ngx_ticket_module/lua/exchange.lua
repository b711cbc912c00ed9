-- Delivers who polled at a node, ends and calls what is due, and returns the
-- line as it is now.
--
-- Own ARGV  1 version of the waiting bitmap the node has
--           2 1 when the node has more to deliver after a draw: wait for it
--           3 and on: segment, offset in bytes, bits; of each segment with
--             polls
-- Result    the answer's head, whose word is
--           "ok", with: life, version, sessions, calls outstanding, calls
--             ever made, settling (1 or 0), seats left (-1: unknown), sessions
--             ever begun, calls missed, version of the settings, settings,
--             when the draw was held (0: not), how many took part, the draw's
--             key, and segment and bits of each segment that changed since
--             the node's version;
--           "resend", with: life, held, drawn, key: places have changed or
--             Redis has lost something, so deliver everybody known to be in
--             line;
--           "settling": nothing can be said yet

if not open() then return answer('settling') end

if node.epoch == line.epoch
   and (misplaced() or node.life ~= 0 and node.life ~= line.life) then
  save()
  return answer('resend', line.life, line.held, line.drawn, line.draw_key)
end

if ARGV[OWN + 2] == '1' and line.settle > 0 then
  line.settle = math.max(line.settle, now + REBUILD_MS)
end

for i = OWN + 3, node.epoch == line.epoch and #ARGV or 0, 3 do
  local seg, bits = ARGV[i], string.rep('\0', ARGV[i + 1]) .. ARGV[i + 2]
  local window = key(space('p:' .. line.win .. ':' .. seg))
  if #bits < SEG / 8 then bits = bits .. string.rep('\0', SEG / 8 - #bits) end
  redis.call('SET', key('tmp'), bits)
  redis.call('BITOP', 'OR', window, window, key('tmp'))
  redis.call('PEXPIRE', window, KEEP_MS)
  rebuild(tonumber(seg))
end

go_on()
call(free())
save()

local since = tonumber(ARGV[OWN + 1])
if node.epoch ~= line.epoch or node.life ~= line.life then since = 0 end

local result = answer(
  'ok', line.life, line.ver, redis.call('ZCARD', key('sess')),
  redis.call('ZCARD', key('calls')), line.total, settling() and 1 or 0,
  stock() or -1, line.begun, line.missed, line.set_ver, line.set, line.held,
  line.drawn, line.draw_key)
if since < line.ver then
  local segs = redis.call('HGETALL', key(space('segs')))
  for i = 1, #segs, 2 do
    if tonumber(segs[i + 1]) > since then
      result[#result + 1] = tonumber(segs[i])
      result[#result + 1] = redis.call('GET', key(space('w:' .. segs[i])))
                            or ''
    end
  end
end
return result
