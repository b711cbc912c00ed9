-- Issues numbers to the visitors whose requests gathered while the last join
-- was under way.  Those in line come first: only when they have all been
-- called, and the limits leave room, are newcomers admitted at once.
--
-- Own ARGV  1 how many visitors
--           2 and on, where one of them has an identity: of each the identity
--             or "".  One that has a number keeps it; only "N!" before it
--             says that number N is used up, and gets another in its place
-- Result    the answer's head, whose word is
--           "ok", with: first new number, how many of the new numbers are
--             admitted (the lowest), when their sessions end, when at the
--             latest; and, where there are identities, the number of each
--             visitor;
--           "settling": ask again in a moment; "closed": the room takes
--             nobody; "full": no number is left

if not open() then return answer('settling') end
go_on()
if settling() then
  save()
  return answer('settling')
end
if not takes_joins() then
  save()
  return answer('closed')
end

local wanted = tonumber(ARGV[OWN + 1])
if line.issued + wanted >= SEG * SEGS_MAX then
  save()
  return answer('full')
end

local from = line.issued + 1

-- The number of a visitor who has an identity, as it was or as it is now.
local function number_of(identity)
  local spent, id = string.match(identity, '^(%d+)!(%x+)$')
  id = id or identity
  if id ~= '' then
    local number = redis.call('HGET', key('ids'), id)
    if number and number ~= spent then return tonumber(number) end
    redis.call('HSET', key('ids'), id, line.issued + 1)
    keep('ids')
  end
  line.issued = line.issued + 1
  return line.issued
end

local numbers = {}
for i = OWN + 2, #ARGV do numbers[#numbers + 1] = number_of(ARGV[i]) end
if #numbers == 0 then line.issued = line.issued + wanted end

call(free())
local issued, admitted, ends, last = line.issued - from + 1, 0, 0, 0
if room.queue_all == 0 and not first() then
  admitted = math.min(issued, free())
  if room.rate > 0 and room.mode ~= PASSTHROUGH then
    admitted = math.max(0, math.min(admitted, room.rate - counted('rs')))
  end
end

for i = 0, issued - 1 do
  if i < admitted then
    ends, last = admit(from + i)
  else
    put_in_line(from + i)
  end
end
count('rs', admitted)
spend(admitted)
if issued > 0 then line.seq = line.seq + 1 end

save()
return answer('ok', from, admitted, ends, last, unpack(numbers))
