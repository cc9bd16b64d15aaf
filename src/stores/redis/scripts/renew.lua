-- Renews a lease. asked: the scheduler, the time, for how long, its skew, its record as JSON, for how long others are
-- remembered. Answers the time, 1 where its lease had lapsed, when the next lease of others lapses that have runs, those
-- that have runs and have lapsed, and all schedulers with their records.
local by, now = asked[1], time(asked[2])
local before = call('HGET', nodes, by)
local had_lapsed = not before or tonumber(match(before, '^%S+ (%S+)')) <= now
call('HSET', nodes, by, format('%.0f %.0f %s %s', now, now + asked[3], asked[4], asked[5]))
local lapsed, known, next_lapse = {}, {}, nil
local all = call('HGETALL', nodes)
for at = 1, #all, 2 do
  local node, record = all[at], all[at + 1]
  local renewed, till = match(record, '^(%S+) (%S+)')
  renewed, till = tonumber(renewed), tonumber(till)
  local has_runs = node ~= by and call('EXISTS', open_of .. node) == 1
  if node ~= by and not has_runs and (till <= renewed or till <= now - asked[6]) then
    call('HDEL', nodes, node)
    call('DEL', cancels_of .. node)
  else
    known[#known + 1] = node
    known[#known + 1] = record
  end
  if has_runs and till <= now then
    lapsed[#lapsed + 1] = node
  elseif has_runs and (not next_lapse or till < next_lapse) then
    next_lapse = till
  end
end
return {
  format('%.0f', now), had_lapsed and 1 or 0, next_lapse and format('%.0f', next_lapse) or '', lapsed, known,
}
