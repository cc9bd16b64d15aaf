-- The runs of a scheduler that has lapsed, and closes those of deleted tasks. asked: who asks, the time, whose, the place in
-- the set of its runs, how many at a time, how many are wanted, why a deleted task's run is lost, and the names of handlers.
-- Answers the next place (0: that was all), until when it was believed alive, and run, entry, key and task for each.
local by, now, node = asked[1], time(asked[2]), asked[3]
local record = call('HGET', nodes, node)
local till = record and match(record, '^%S+ (%S+)')
if not till or tonumber(till) > now then return {'0', ''} end
local can_run = {}
for _, number in ipairs(numbers((list(8)))) do can_run[number] = true end
local page = call('SSCAN', open_of .. node, asked[4], 'COUNT', asked[5])
local answer = {page[1], till}
local found, keys = values(runs, page[2]), {}
for n, entry in ipairs(found) do keys[n] = entry and sub(entry, 18, 29) or '' end
local tasks_found = values(tasks, keys)
for n, run in ipairs(page[2]) do
  local entry, task = found[n], tasks_found[n]
  if not entry or not is_open(entry) or sub(entry, 2, 17) ~= node then
    call('SREM', open_of .. node, run)
  elseif not task then
    call('HSET', runs, run, format('l%s%s - %.0f %s', by, sub(entry, 18), now, asked[7]))
    call('SREM', open_of .. node, run)
    call('SREM', cancels_of .. node, run)
  elseif can_run[sub(task, 1, 6)] and #answer < 2 + 4 * asked[6] then
    answer[#answer + 1] = run
    answer[#answer + 1] = entry
    answer[#answer + 1] = keys[n]
    answer[#answer + 1] = task
  end
end
return answer
