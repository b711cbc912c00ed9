-- Issues numbers to the visitors whose requests gathered while the last join
-- was under way.  Those in line come first: only when they have all been
-- called, and the limits leave room, are newcomers admitted at once.
--
-- ARGV[13]  how many numbers
-- Result    "ok" with the answer's head, then: first number, how many of them
--           are admitted (the lowest), when their sessions end;
--           "settling": ask again in a moment; "full": no number is left

open()
expire()
turn_window()
if settling() then
  save()
  return answer('settling')
end

local wanted = tonumber(ARGV[13])
if line.issued + wanted >= SEG * SEGS_MAX then
  save()
  return answer('full')
end

call()
local admitted, ends = 0, 0
if not first() then
  admitted = math.min(wanted, free())
  if room.rate > 0 then
    admitted = math.min(admitted, room.rate - counted('rs'))
  end
  admitted = math.max(0, admitted)
end

local from = line.issued + 1
line.issued = line.issued + wanted
line.seq = line.seq + 1
for i = 0, wanted - 1 do
  if i < admitted then
    ends = admit(from + i)
  else
    put_in_line(from + i)
  end
end
count('rc', admitted)
count('rs', admitted)
line.total = line.total + admitted

save()
local result = answer('ok')
result[#result + 1] = from
result[#result + 1] = admitted
result[#result + 1] = ends
return result
