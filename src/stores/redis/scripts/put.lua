-- Changes tasks. asked: the teller, what is written on an entry whose task is deleted; then for each edit
-- i id 0 edit max handler definition rest score | r id version edit max handler definition rest score | d id
-- Answers a letter for each (d done, c conflict, n not found), and the keys of what was written.
local teller, deleted = asked[1], asked[2]
local known = {}

-- The number of a handler, a new one where it has none.
local function number_of(handler)
  local number = known[handler] or call('HGET', handlers, handler)
  if not number then
    number = format('%06x', call('INCR', tasks .. ':last_handler'))
    call('HSET', handlers, handler, number)
  end
  known[handler] = number
  return number
end

local function write(key, id, at)
  local handler = number_of(asked[at + 5])
  call('HSET', tasks, key, handler .. asked[at + 3] .. asked[at + 4] .. asked[at + 7])
  call('HSET', definitions, key, asked[at + 6])
  call('SADD', tasks_of .. handler, key)
  put_due(handler, key, asked[at + 8])
end

-- Runs that go on end as usual: their task is gone, which is all that they need to know.
local function cancel_what_waits(task)
  local first = find(task, '\n', 31, true)
  if not first then return end
  for run in string.gmatch(sub(task, first), '\n(' .. string.rep('%x', 32) .. ')') do
    local entry = call('HGET', runs, run)
    if entry and byte(entry, 1) == QUEUED then call('HSET', runs, run, 'x' .. sub(entry, 2) .. deleted) end
  end
end

local answer, keys, at, changed = {}, {}, 3, false
while at <= #asked do
  local kind, id = asked[at], asked[at + 1]
  local key = call('HGET', ids, id)
  local task = key and call('HGET', tasks, key)
  local outcome, written = 'd', ''
  if kind == 'i' then
    if task then
      outcome = 'c'
    else
      written = format('%012x', call('INCR', tasks .. ':last_key'))
      call('HSET', ids, id, written)
      write(written, id, at)
    end
  elseif not task then
    outcome = 'n'
  elseif kind == 'd' then
    cancel_what_waits(task)
    remove_task(key, id, task)
  elseif sub(task, 31, 30 + #asked[at + 2]) ~= asked[at + 2] then
    outcome = 'c'
  else
    written = key
    if number_of(asked[at + 5]) ~= sub(task, 1, 6) then
      call('SREM', tasks_of .. sub(task, 1, 6), key)
      call('ZREM', due_of .. sub(task, 1, 6), key)
    end
    write(key, id, at)
  end
  answer[#answer + 1] = outcome
  keys[#keys + 1] = written
  changed = changed or outcome == 'd'
  at = at + (kind == 'd' and 2 or 9)
end
if changed then call('PUBLISH', channel, teller) end
return {table.concat(answer), keys}
