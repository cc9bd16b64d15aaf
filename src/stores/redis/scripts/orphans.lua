-- Tasks that none of these handlers can run. asked: the time, how many, a list of records that can't be read, the names.
-- Answers as what is due.
local now, limit = time(asked[1]), asked[2]
local aside, count = set_aside((list(3)))
local names = list(select(2, list(3)))
local has, keys = {}, {}
for _, name in ipairs(names) do has[name] = true end
local all = call('HGETALL', handlers)
for at = 1, #all, 2 do
  if not has[all[at]] and #keys < limit then
    for _, key in ipairs(call('SRANDMEMBER', tasks_of .. all[at + 1], limit + count)) do
      if not aside[key] and #keys < limit then keys[#keys + 1] = key end
    end
  end
end
local answer = {format('%.0f', now)}
for n, task in ipairs(values(tasks, keys)) do
  if task then
    answer[#answer + 1] = keys[n]
    answer[#answer + 1] = task
  end
end
return answer
