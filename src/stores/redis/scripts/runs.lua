-- A page of the history. asked: run id | task id offset count statuses | open node place count | all score offset count
-- statuses. Answers where the next page begins ('': there is none), and run, entry and result for each.
local kind = asked[1]
local page, next_score, next_place, statuses = {}, '', '', ''
if kind == 'run' then
  page = {asked[2]}
elseif kind == 'task' then
  local offset, count = asked[3], asked[4]
  statuses = asked[5]
  local found = call('LRANGE', history_of .. asked[2], -offset - count, -offset - 1)
  for n = #found, 1, -1 do page[#page + 1] = found[n] end
  if #found == count then next_place = tostring(offset + count) end
elseif kind == 'open' then
  local found = call('SSCAN', open_of .. asked[2], asked[3], 'COUNT', asked[4])
  page = found[2]
  if found[1] ~= '0' then next_place = found[1] end
else
  local score, offset, count = asked[2], asked[3], asked[4]
  statuses = asked[5]
  local found = call('ZREVRANGEBYSCORE', order, score, '-inf', 'WITHSCORES', 'LIMIT', offset, count)
  for n = 1, #found, 2 do page[#page + 1] = found[n] end
  if #page == count then
    -- Many may have been decided at the same time: how many of them were seen.
    next_score = found[#found]
    local same = 0
    while same < count and found[#found - 2 * same] == next_score do same = same + 1 end
    next_place = tostring(same + (same == count and score == next_score and offset or 0))
  end
end
local wanted, answer = {}, {next_score, next_place}
local found = values(runs, page)
for n, entry in ipairs(found) do
  if entry and (statuses == '' or find(statuses, sub(entry, 1, 1), 1, true)) then wanted[#wanted + 1] = n end
end
local of = {}
for n, at in ipairs(wanted) do of[n] = page[at] end
for n, result in ipairs(values(results, of)) do
  answer[#answer + 1] = of[n]
  answer[#answer + 1] = found[wanted[n]]
  answer[#answer + 1] = result
end
return answer
