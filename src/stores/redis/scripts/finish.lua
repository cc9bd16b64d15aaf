-- Writes how runs ended. asked: the scheduler, the teller; then for each end
-- run, the task's id, status, what stands behind the entry, the result, and what comes then: o nothing; or r it is tried
-- again, or h it is handed on, with the next run, the rest of its entry, when it was decided, and how it waits.
-- Answers a hexadecimal digit for each: 1 refused, 2 retried, 4 makes room, 8 the task is removed.
local by, teller = asked[1], asked[2]
local ended, at = {}, 3
while at <= #asked do
  ended[#ended + 1] = asked[at]
  at = at + (asked[at + 5] == 'o' and 6 or 10)
end
local entry_of, task_of_key, keys = {}, {}, {}
for n, entry in ipairs(values(runs, ended)) do
  if entry then
    entry_of[ended[n]] = entry
    local key = sub(entry, 18, 29)
    if task_of_key[key] == nil then
      task_of_key[key] = false
      keys[#keys + 1] = key
    end
  end
end
for n, task in ipairs(values(tasks, keys)) do task_of_key[keys[n]] = task end
local most = tonumber(call('GET', most_kept) or nil)
local entries, told, closed, opened, ordered, changed = {}, {}, {}, {}, {}, {}
local hands_on = false

local function note(run, entry, at)
  entries[#entries + 1] = run
  entries[#entries + 1] = entry
  entry_of[run] = entry
end

-- The run that tries another again.
local function note_next(key, at)
  local id, hands, run = asked[at + 1], asked[at + 5] == 'h', asked[at + 6]
  note(run, (hands and 'q' .. NOBODY or 'c' .. by) .. key .. asked[at + 7])
  ordered[#ordered + 1] = asked[at + 8]
  ordered[#ordered + 1] = run
  if not hands then opened[#opened + 1] = run end
  local kept = call('RPUSH', history_of .. id, run)
  if most and kept > most then call('SADD', too_long, id) end
end

-- A run that is over already: the answer was lost and it is asked again, or somebody else has closed it.
local function again(entry, at)
  local refused = entry and sub(entry, 2, 17) ~= by
  local retried = false
  if asked[at + 5] == 'r' then
    local next = entry_of[asked[at + 6]] or call('HGET', runs, asked[at + 6])
    retried = next and is_pending(next) and call('HEXISTS', tasks, sub(next, 18, 29)) == 1
  end
  return (refused and 1 or 0) + (retried and 2 or 0)
end

-- Where a task stands that has ended, or of which something waits.
local function settle(key, id, task, running, flags, rest, retried)
  local waits = find(flags, 'w', 1, true)
  if find(flags, 'e', 1, true) and running == 0 and not waits then
    task_of_key[key] = false
    changed[key] = nil
    remove_task(key, id, task)
    return 8
  end
  local score = match(rest, '^ %S+ (%S+)')
  if waits and not find(flags, 'p', 1, true) and running < tonumber(sub(task, 23, 30), 16) then
    score = '-inf'
  end
  put_due(sub(task, 1, 6), key, score == '-' and '' or score)
  return waits and not retried and 4 or 0
end

local function finish(entry, at)
  local run, kind, key = asked[at], asked[at + 5], sub(entry, 18, 29)
  note(run, asked[at + 2] .. sub(entry, 2) .. asked[at + 3])
  closed[#closed + 1] = run
  if asked[at + 4] ~= '' then
    told[#told + 1] = run
    told[#told + 1] = asked[at + 4]
  end
  local task = task_of_key[key]
  -- A run of a task that was deleted meanwhile is counted nowhere, and nobody tries it again.
  if not task then return 0 end
  local version, running, flags, behind = match(task, '^(%d+) (%d+) (%S+)()', 31)
  local rest = sub(task, behind)
  running = tonumber(running)
  if kind ~= 'o' then note_next(key, at) end
  if kind ~= 'r' and running > 0 then running = running - 1 end
  if kind == 'h' then
    local schedule, waiting = match(rest, '^([^\n]*)(.*)$')
    rest = schedule .. '\n' .. asked[at + 9] .. waiting
    if not find(flags, 'w', 1, true) then flags = flags == '-' and 'w' or flags .. 'w' end
    hands_on = true
  end
  local after = sub(task, 1, 30) .. format('%.0f %d ', version + 1, running) .. flags .. rest
  task_of_key[key] = after
  changed[key] = after
  local outcome = kind == 'r' and 2 or 0
  if flags ~= '-' then outcome = outcome + settle(key, asked[at + 1], after, running, flags, rest, kind == 'r') end
  return outcome
end

local answer = {}
at = 3
while at <= #asked do
  local entry = entry_of[asked[at]]
  local outcome
  if not entry or not is_pending(entry) then
    outcome = again(entry, at)
  elseif sub(entry, 2, 17) ~= by then
    outcome = 1
  else
    outcome = finish(entry, at)
  end
  answer[#answer + 1] = format('%x', outcome)
  at = at + (asked[at + 5] == 'o' and 6 or 10)
end
local after = {}
for key, task in pairs(changed) do
  after[#after + 1] = key
  after[#after + 1] = task
end
with('HSET', tasks, after)
with('HSET', runs, entries)
with('HSET', results, told)
with('ZADD', order, ordered)
with('SADD', open_of .. by, opened)
with('SREM', open_of .. by, closed)
if #closed > 0 and call('EXISTS', cancels_of .. by) == 1 then with('SREM', cancels_of .. by, closed) end
if hands_on then call('PUBLISH', channel, teller) end
return table.concat(answer)
