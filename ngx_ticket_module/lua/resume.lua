-- A pass that is good by its signature and time, but whose session is not
-- known.  After a loss it is registered again and takes over the slot that
-- was kept for it; otherwise it was released or revoked.
--
-- ARGV[13]  epoch of the pass   ARGV[14]  its number   ARGV[15]  its end, ms
-- Result    "valid" or "refused" with the answer's head

open()
expire()

local epoch, number, ends =
  tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])

local function resume()
  if epoch ~= line.epoch or ends <= now then return 'refused' end
  if redis.call('ZSCORE', key('sess'), number) then return 'valid' end
  if now >= line.ghosts_until or get_bit('used', number) then
    return 'refused'
  end
  admit(number)
  redis.call('ZADD', key('sess'), math.min(ends, now + room.session), number)
  take_out_of_line(number)
  line.ghosts = math.max(0, line.ghosts - 1)
  return 'valid'
end

local word = resume()
save()
return answer(word)
