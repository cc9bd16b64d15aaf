-- When the first task is due. asked: the time, the scheduler, a list of records that can't be read, the names of its
-- handlers. Answers the time, when, and the runs that it is to cancel.
local now, by = time(asked[1]), asked[2]
local aside, count = set_aside((list(3)))
local names = list(select(2, list(3)))
local first, score = nil, ''
for _, number in ipairs(numbers(names)) do
  local found = call('ZRANGE', due_of .. number, 0, count, 'WITHSCORES')
  for at = 1, #found, 2 do
    if not aside[found[at]] then
      local due = found[at + 1] == '-inf' and -math.huge or tonumber(found[at + 1])
      if not first or due < first then first, score = due, found[at + 1] end
      break
    end
  end
end
return {format('%.0f', now), score, call('SMEMBERS', cancels_of .. by)}
