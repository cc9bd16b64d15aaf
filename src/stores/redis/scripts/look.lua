-- Looks for tasks with too many entries where nobody has counted yet. asked: how many are kept, how many entries are looked
-- at. Answers 1 where there is more to look at.
local place = tasks .. ':looked_at'
if call('GET', most_kept) ~= asked[1] then
  call('SET', most_kept, asked[1])
  call('SET', place, '-inf 0')
end
local looked_at = call('GET', place)
if not looked_at then return 0 end
local score, offset = match(looked_at, '^(%S+) (%S+)')
local found = call('ZRANGEBYSCORE', order, score, '+inf', 'WITHSCORES', 'LIMIT', offset, asked[2])
local page, seen = {}, {}
for n = 1, #found, 2 do page[#page + 1] = found[n] end
for _, entry in ipairs(values(runs, page)) do
  local id = entry and task_of(entry)
  if id and not seen[id] then
    seen[id] = true
    if call('LLEN', history_of .. id) > tonumber(asked[1]) then call('SADD', too_long, id) end
  end
end
if #page < asked[2] then
  call('DEL', place)
  return 0
end
local last, same = found[#found], 0
while same < #page and found[#found - 2 * same] == last do same = same + 1 end
call('SET', place, format('%s %.0f', last, same + (same == #page and score == last and tonumber(offset) or 0)))
return 1
