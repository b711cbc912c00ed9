-- Gives up a place, a call or a session for good.
--
-- Own ARGV  1 epoch of the token   2 the place
-- Result    the answer's head, whose word is "left"; "past": the epoch is
--           over; "settling": ask again in a moment

local refusal = begin()
if refusal then return refusal end

local epoch, place = tonumber(ARGV[OWN + 1]), tonumber(ARGV[OWN + 2])
if epoch ~= line.epoch then
  save()
  return answer('past')
end

give_up(place)

save()
return answer('left')
