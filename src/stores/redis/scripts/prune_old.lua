-- Removes entries decided before a time. asked: the time, how many stand before the first that is looked at and stay, how
-- many are looked at. Answers how many were, how many stay, and how many were removed.
local page = call('ZRANGEBYSCORE', order, '-inf', '(' .. asked[1], 'LIMIT', asked[2], asked[3])
local removed, stay = {}, 0
for n, entry in ipairs(values(runs, page)) do
  if not entry then
    call('ZREM', order, page[n])
  elseif is_pending(entry) then
    stay = stay + 1
  else
    removed[#removed + 1] = page[n]
    -- The oldest stand first.
    call('LREM', history_of .. task_of(entry), 1, page[n])
  end
end
with('HDEL', runs, removed)
with('HDEL', results, removed)
with('ZREM', order, removed)
return {#page, stay, #removed}
