-- The tasks of these keys with their definitions, as of one time.
local found, defined = values(tasks, asked), values(definitions, asked)
local answer = {}
for at = 1, #asked do
  answer[2 * at - 1], answer[2 * at] = found[at], defined[at]
end
return answer
