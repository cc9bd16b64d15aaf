-- Removes entries of tasks that have too many. asked: how many are kept, how many are looked at. Answers how many were
-- removed, and how many tasks are left.
local most, left = tonumber(asked[1]), asked[2]
local removed = {}
for _, id in ipairs(call('SRANDMEMBER', too_long, 20)) do
  local history = history_of .. id
  local count = math.min(call('LLEN', history) - most, left)
  local page = count > 0 and call('LRANGE', history, 0, count - 1) or {}
  local stay, before = {}, #removed
  for n, entry in ipairs(values(runs, page)) do
    if entry and is_pending(entry) then table.insert(stay, 1, page[n]) else removed[#removed + 1] = page[n] end
  end
  if #removed > before then
    call('LTRIM', history, count, -1)
    with('LPUSH', history, stay)
  end
  -- Where all that is too much goes on, the next entry of the task brings it here again.
  if #page == #stay or call('LLEN', history) - most <= #stay then call('SREM', too_long, id) end
  left = left - #page
  if left <= 0 then break end
end
with('HDEL', runs, removed)
with('HDEL', results, removed)
with('ZREM', order, removed)
return {#removed, call('SCARD', too_long)}
