-- Notes that a run is to be cancelled. asked: the run, the teller. Answers 1 where a scheduler has it.
local entry = call('HGET', runs, asked[1])
if not entry or not is_open(entry) then return 0 end
call('SADD', cancels_of .. sub(entry, 2, 17), asked[1])
call('PUBLISH', channel, asked[2])
return 1
