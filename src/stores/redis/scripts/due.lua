-- What is due, the earliest first. asked: the time, how many, a list of records that can't be read (a key and its edit
-- each), and the names of handlers. Answers the time, and a key and the task for each.
local now, limit = time(asked[1]), asked[2]
local aside, count = set_aside((list(3)))
local names = list(select(2, list(3)))
local bound = format('%.3f', now / 1000)

-- The next few of what is due for a handler; false: there is nothing more.
local function fill(queue)
  queue.found = call('ZRANGEBYSCORE', queue.key, '-inf', bound, 'WITHSCORES', 'LIMIT', queue.offset, queue.chunk)
  queue.offset, queue.at = queue.offset + queue.chunk, 1
  queue.chunk = math.min(2 * queue.chunk, limit + count)
  return #queue.found > 0
end

local function due(queue)
  local score = queue.found[queue.at + 1]
  return score == '-inf' and -math.huge or tonumber(score)
end

local known = numbers(names)
local chunk = #known == 1 and limit + count or math.ceil(2 * limit / math.max(#known, 1)) + 1
local queues = {}
for _, number in ipairs(known) do
  local queue = {key = due_of .. number, offset = 0, chunk = chunk}
  if fill(queue) then
    queue.due = due(queue)
    queues[#queues + 1] = queue
  end
end
table.sort(queues, function(a, b) return a.due < b.due end)

-- The queues stand in the order of their first ones.
local keys = {}
while #keys < limit and #queues > 0 do
  local first = queues[1]
  local key = first.found[first.at]
  if not aside[key] then keys[#keys + 1] = key end
  first.at = first.at + 2
  if first.at > #first.found and not fill(first) then
    table.remove(queues, 1)
  else
    first.due = due(first)
    local at = 1
    while queues[at + 1] and queues[at + 1].due < first.due do
      queues[at] = queues[at + 1]
      at = at + 1
    end
    queues[at] = first
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
