-- A pass that is good by its signature and time, but whose session is not
-- known.  After a loss it is registered again and takes over a slot that was
-- kept for such, as long as there is one: a pass outlives a session that was
-- released or not renewed, which a loss makes forget.  Otherwise it was
-- released or revoked, or has run out.
--
-- Own ARGV  1 epoch of the pass   2 its place   3 its end at the latest, ms
-- Result    the answer's head, whose word is "valid", with: when the session
--           ends; "refused"; "settling": nothing can be said yet

local refusal = begin()
if refusal then return refusal end

local epoch, place, last =
  tonumber(ARGV[OWN + 1]), tonumber(ARGV[OWN + 2]), tonumber(ARGV[OWN + 3])

local function resume()
  if epoch ~= line.epoch or last <= now then return answer('refused') end
  local ends = tonumber(redis.call('ZSCORE', key('sess'), place) or nil)
  if ends then return answer('valid', ends) end
  if now >= line.ghosts_until or get_bit('used', place)
     or room.slots > 0 and line.ghosts == 0 then
    return answer('refused')
  end
  admit(place)
  ends = math.min(last, now + room.session)
  redis.call('ZADD', key('sess'), ends, place)
  redis.call('ZADD', key('begun'), last - longest(), place)
  take_out_of_line(place)
  line.ghosts = math.max(0, line.ghosts - 1)
  return answer('valid', ends)
end

local result = resume()
save()
return result
