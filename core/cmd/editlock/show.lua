-- What a resource's key holds, read where a decision is made: GETEX counts as a write, which a replica refuses.
local time = redis.call('TIME')
local value = redis.pcall('GETEX', KEYS[1])
local kind, text, size = 'none', '', 0
if type(value) == 'string' then
  kind, text, size = 'string', string.sub(value, 1, 16385), #value
elseif type(value) == 'table' then
  if not string.find(value.err, 'WRONGTYPE', 1, true) then return value end
  local name = redis.pcall('TYPE', KEYS[1]) -- the ACL may refuse it
  kind = name.ok or 'other type'
end
return {time[1], time[2], kind, text, size, redis.call('PTTL', KEYS[1])}
