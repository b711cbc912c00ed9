-- Gives up a place, a call or a session for good.
--
-- ARGV[13]  epoch of the token   ARGV[14]  its number
-- Result    "left" with the answer's head; "past": the epoch is over

open()
expire()

local epoch, number = tonumber(ARGV[13]), tonumber(ARGV[14])
if epoch ~= line.epoch then
  save()
  return answer('past')
end

redis.call('ZREM', key('sess'), number)
redis.call('ZREM', key('calls'), number)
set_bit('used', number, 1)
take_out_of_line(number)
line.seq = line.seq + 1

save()
return answer('left')
