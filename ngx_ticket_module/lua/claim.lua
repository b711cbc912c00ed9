-- Turns the number of a called visitor into a session.  One who was away when
-- called, or missed the time to claim, is put back in line, where the number
-- stands before all that were not yet called.  Claiming again returns the
-- same session.
--
-- ARGV[13]  epoch of the token   ARGV[14]  its number
-- Result    "admitted" with the answer's head, then: when the session ends;
--           "called": the rate is used up, claim again in a moment;
--           "waiting": in line; "spent": the session is over, or the place
--           was given up; "past": the epoch is over

open()
expire()
turn_window()

local epoch, number = tonumber(ARGV[13]), tonumber(ARGV[14])

local function claim()
  if epoch ~= line.epoch then return answer('past') end
  local ends = redis.call('ZSCORE', key('sess'), number)
  if not ends then
    if get_bit('used', number) then return answer('spent') end
    if not redis.call('ZSCORE', key('calls'), number) then
      set_bit('gone', number, 0)
      put_in_line(number)
      call()
      if not redis.call('ZSCORE', key('calls'), number) then
        return answer('waiting')
      end
    end
    if not may_begin() then
      redis.call('ZADD', key('calls'), now + room.claim, number)
      return answer('called')
    end
    ends = admit(number)
    count('rs', 1)
  end
  local result = answer('admitted')
  result[#result + 1] = tonumber(ends)
  return result
end

local result = claim()
save()
return result
