-- The mark of the store. asked: the one that is known, and another, which takes its place; '' for none. Answers which one stands
-- then.
local place = tasks .. ':mark'
local mark = call('GET', place) or ''
if asked[2] == '' or mark ~= asked[1] then return mark end
call('SET', place, asked[2])
return asked[2]
