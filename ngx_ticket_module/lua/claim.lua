-- Turns the place of a called visitor into a session.  One who was away when
-- called, or missed the time to claim, is put back in line, where the place
-- stands before all that were not yet called.  Claiming again returns the
-- same session.
--
-- Own ARGV  1 epoch of the token   2 the place
-- Result    the answer's head, whose word is
--           "admitted", with: when the session ends, when at the latest, and
--             1 when it begins with this claim;
--           "called": the rate is used up, claim again in a moment;
--           "waiting": in line; "spent": the session is over, or the place
--           was given up; "past": the epoch is over; "settling": claim again
--           in a moment

local refusal = begin()
if refusal then return refusal end

local epoch, place = tonumber(ARGV[OWN + 1]), tonumber(ARGV[OWN + 2])

local function claim()
  if epoch ~= line.epoch then return answer('past') end
  local ends = tonumber(redis.call('ZSCORE', key('sess'), place) or nil)
  if ends then return answer('admitted', ends, last_end(place, ends)) end
  if get_bit('used', place) then return answer('spent') end
  if not redis.call('ZSCORE', key('calls'), place) then
    if get_bit('gone', place) then remember('back', place) end
    set_bit('gone', place, 0)
    put_in_line(place)
    call(free())
    if not redis.call('ZSCORE', key('calls'), place) then
      return answer('waiting')
    end
  end
  if not may_begin() then
    redis.call('ZADD', key('calls'), now + room.claim, place)
    return answer('called')
  end
  count('rs', 1)
  local ends, last = admit(place)
  return answer('admitted', ends, last, 1)
end

local result = claim()
save()
return result
