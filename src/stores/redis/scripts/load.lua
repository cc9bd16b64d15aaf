-- The tasks of these ids. Answers for each its key and the task; nothing where it is not there.
local keys = values(ids, asked)
local wanted, places = {}, {}
for at, key in ipairs(keys) do
  if key then
    wanted[#wanted + 1] = key
    places[#places + 1] = at
  end
end
local found = {}
for at = 1, 2 * #asked do found[at] = false end
for n, task in ipairs(values(tasks, wanted)) do
  found[2 * places[n] - 1], found[2 * places[n]] = wanted[n], task
end
return found
