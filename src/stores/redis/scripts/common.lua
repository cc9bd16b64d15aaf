-- What every script begins with. KEYS[1] is the store's root, which is the key of its tasks; all other keys begin with it,
-- and so stand in one slot of a cluster. KEYS[2]: what the keys of due times begin with. ARGV[1]: a list in MessagePack.
--
-- A task is a line of fixed places and words:
--   1- 6  the number of its handler      7-22  its edit      23-30  max_instances      (hexadecimal digits)
--   31-   version running flags generation next_run_time watermark, and a line for each occurrence that waits:
--         its run, and the occurrence as JSON. Flags: e ended, p paused, w something waits, - none.
-- An entry of the history:
--   1     its status, a letter           2-17  the scheduler's id, or dashes             18-29  the task's key
--   30-   due generation attempt flags occurrences starts_at decided_at, the task's id and the reason, each after its
--         length; and, once it is over, its end: started_at finished_at error.
local call, sub, byte, find, match, format =
  redis.call, string.sub, string.byte, string.find, string.match, string.format
local tasks, due_of = KEYS[1], KEYS[2] .. ':'
local ids, definitions = tasks .. ':ids', tasks .. ':definitions'
local runs, results, order = tasks .. ':runs', tasks .. ':results', tasks .. ':order'
local history_of, open_of, cancels_of = tasks .. ':history:', tasks .. ':open:', tasks .. ':cancels:'
local handlers, tasks_of = tasks .. ':handlers', tasks .. ':tasks_of:'
local nodes, channel = tasks .. ':nodes', tasks .. ':changes'
-- How many entries of a task are kept, and the tasks that have more.
local most_kept, too_long = tasks .. ':most_kept', tasks .. ':too_long'
local asked = cmsgpack.unpack(ARGV[1])

-- Lua can't hand more than some 8,000 values to a call.
local SLICE = 4000
local QUEUED, CLAIMED, RUNNING = byte('q'), byte('c'), byte('r')
local NOBODY = '----------------'

-- Microseconds since 1970: the server's time, unless the caller's counts.
local function time(told)
  if told ~= '' then return tonumber(told) end
  local now = call('TIME')
  return now[1] * 1000000 + now[2]
end

-- A command with any number of words: an even one where they come in pairs.
local function with(command, key, words)
  for first = 1, #words, SLICE do
    call(command, key, unpack(words, first, math.min(first + SLICE - 1, #words)))
  end
end

-- The values of any number of fields.
local function values(key, fields)
  if #fields <= SLICE then return #fields > 0 and call('HMGET', key, unpack(fields)) or {} end
  local found = {}
  for first = 1, #fields, SLICE do
    local some = call('HMGET', key, unpack(fields, first, math.min(first + SLICE - 1, #fields)))
    for at = 1, #some do found[first + at - 1] = some[at] end
  end
  return found
end

-- Whether a scheduler has the run of this entry.
local function is_open(entry)
  local status = byte(entry, 1)
  return status == CLAIMED or status == RUNNING
end

-- Whether more will come of the run of this entry.
local function is_pending(entry)
  return byte(entry, 1) == QUEUED or is_open(entry)
end

-- The id of the task that an entry is of.
local function task_of(entry)
  local length, first = match(entry, '^%S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+) ()', 30)
  return sub(entry, first, first + length - 1)
end

-- Puts a task where it is due; '': nowhere.
local function put_due(handler, key, score)
  if score == '' then call('ZREM', due_of .. handler, key) else call('ZADD', due_of .. handler, score, key) end
end

local function remove_task(key, id, task)
  local handler = sub(task, 1, 6)
  call('HDEL', tasks, key)
  call('HDEL', definitions, key)
  call('HDEL', ids, id)
  call('SREM', tasks_of .. handler, key)
  call('ZREM', due_of .. handler, key)
end

-- The list in `asked` from a place on, which says first how long it is; and what comes behind it.
local function list(at)
  local found = {}
  for n = 1, asked[at] do found[n] = asked[at + n] end
  return found, at + asked[at] + 1
end

-- Of pairs of a key and an edit the keys of tasks that still are as they were then.
local function set_aside(pairs_)
  local aside, count, keys = {}, 0, {}
  for n = 1, #pairs_, 2 do keys[#keys + 1] = pairs_[n] end
  for n, task in ipairs(values(tasks, keys)) do
    if task and sub(task, 7, 22) == pairs_[2 * n] then
      aside[keys[n]] = true
      count = count + 1
    end
  end
  return aside, count
end

-- Of handlers' names the numbers that tasks know them by; a handler without tasks may have none.
local function numbers(names)
  local found = {}
  for _, number in ipairs(values(handlers, names)) do
    if number then found[#found + 1] = number end
  end
  return found
end

