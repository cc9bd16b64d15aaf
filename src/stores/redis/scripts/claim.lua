-- Writes claims. asked: the scheduler, the time; then for each claim, of which none is of the same task as another:
-- key, version and a blank, the rest of the task, score, options (r it claims runs, o the task is over with it, l runs are
-- lost with it), the scheduler that runs are taken from, the task's id, when it was decided, how many decisions, and for each
-- of these run, status, the rest of its entry (of a run that is lost: its end).
-- Answers a letter for each: w won, o won and removed, l lost, x the scheduler's own lease has lapsed.
local by, now = asked[1], time(asked[2])
local leases = {}

local function is_held(node)
  if leases[node] == nil then
    local record = call('HGET', nodes, node)
    leases[node] = record and tonumber(match(record, '^%S+ (%S+)')) > now or false
  end
  return leases[node]
end

local keys, at = {}, 3
while at <= #asked do
  keys[#keys + 1] = asked[at]
  at = at + 9 + 3 * asked[at + 8]
end
local found = values(tasks, keys)
local most = tonumber(call('GET', most_kept) or nil)
local changed, entries, ordered, opened, long = {}, {}, {}, {}, {}
-- By handler: where tasks are due now, and which are due no more.
local due, undue = {}, {}

-- Of the runs that the claim which stands there says are lost the entries; false: one is not any more as it was found.
local function losses(key, at)
  local lost = {}
  for n = at + 9, at + 6 + 3 * asked[at + 8], 3 do
    if asked[n + 1] == 'l' then
      local entry = call('HGET', runs, asked[n])
      local from = asked[at + 5]
      if not entry or not is_pending(entry) or sub(entry, 18, 29) ~= key then return false end
      if from ~= '' and sub(entry, 2, 17) ~= from then return false end
      lost[asked[n]] = entry
    end
  end
  return lost
end

local function lose(entry, run, rest)
  call('HSET', runs, run, 'l' .. by .. sub(entry, 18) .. rest)
  call('SREM', open_of .. sub(entry, 2, 17), run)
  call('SREM', cancels_of .. sub(entry, 2, 17), run)
end

-- A task's history has so many entries now.
local function remember(id, kept)
  if most and kept > most then long[#long + 1] = id end
end

-- The decisions of the claim that stands there.
local function decide(key, task, at, lost)
  local id, decided, new = asked[at + 6], asked[at + 7], nil
  -- What waited has its entry already.
  local waits = find(task, '\n', 31, true)
  for n = at + 9, at + 6 + 3 * asked[at + 8], 3 do
    local run, status, rest = asked[n], asked[n + 1], asked[n + 2]
    if status == 'l' then
      lose(lost[run], run, rest)
    else
      if not (waits and call('HEXISTS', runs, run) == 1) then
        ordered[#ordered + 1] = decided
        ordered[#ordered + 1] = run
        -- Most claims have one decision.
        if not new and n == at + 6 + 3 * asked[at + 8] then
          remember(id, call('RPUSH', history_of .. id, run))
        else
          new = new or {}
          new[#new + 1] = run
        end
      end
      entries[#entries + 1] = run
      entries[#entries + 1] = status .. (status == 'q' and NOBODY or by) .. key .. rest
      if status == 'c' then opened[#opened + 1] = run end
    end
  end
  if new then
    with('RPUSH', history_of .. id, new)
    remember(id, call('LLEN', history_of .. id))
  end
end

local answer, n = {}, 0
at = 3
while at <= #asked do
  n = n + 1
  local key, was, options, from = asked[at], asked[at + 1], asked[at + 4], asked[at + 5]
  local task, outcome, lost = found[n], 'w', nil
  if find(options, 'l', 1, true) then lost = losses(key, at) end
  if find(options, 'r', 1, true) and not is_held(by) then
    outcome = 'x'
  elseif not task or find(task, was, 31, true) ~= 31 or lost == false or (from ~= '' and is_held(from)) then
    outcome = 'l'
  else
    decide(key, task, at, lost)
    local handler = sub(task, 1, 6)
    if find(options, 'o', 1, true) then
      remove_task(key, asked[at + 6], task)
      outcome = 'o'
    else
      changed[#changed + 1] = key
      changed[#changed + 1] = sub(task, 1, 30) .. asked[at + 2]
      local score = asked[at + 3]
      local of = score == '' and undue or due
      local moved = of[handler]
      if not moved then
        moved = {}
        of[handler] = moved
      end
      if score ~= '' then moved[#moved + 1] = score end
      moved[#moved + 1] = key
    end
  end
  answer[n] = outcome
  at = at + 9 + 3 * asked[at + 8]
end
with('HSET', tasks, changed)
with('HSET', runs, entries)
with('ZADD', order, ordered)
with('SADD', open_of .. by, opened)
with('SADD', too_long, long)
for handler, moved in pairs(due) do with('ZADD', due_of .. handler, moved) end
for handler, moved in pairs(undue) do with('ZREM', due_of .. handler, moved) end
return table.concat(answer)
