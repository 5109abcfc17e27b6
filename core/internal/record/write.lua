-- write: writes the record, announces the change if a waiter must hear of it, and replies as reply.go parses.
local last = linger or 0 -- when the lock ends from now on
for _, lease_end in pairs(leases) do
  if lease_end > last then last = lease_end end
end
-- cjson has one form for an empty list and an empty object, so there is none.
record.leases, record.linger = next(leases) and leases, linger
if ended and not ended[1] then ended = nil end
record.ended, record.ask = ended, ask
for name in pairs(typed or {}) do
  if not leases[name] then typed[name] = nil end
end
record.typed = typed and next(typed) and typed

local left = math.max(last - now, 0)
keep = keep or (left == duration and ARGV[7]) or left + lifetime - duration -- the text need not be printed
if ended then
  local remembered = ended[#ended]['until'] - now
  if remembered > tonumber(keep) then keep = remembered end
end

local known = text
while true do
  local encoded
  encoded, text = pcall(cjson.encode, record)
  if not encoded then return redis.error_reply(MALFORMED) end -- an unknown field has NaN, which cjson reads and does not write
  local excess = #text - MAX_SIZE
  if excess <= 0 then break end
  if record.typed or record.broken then
    record.typed, record.broken = nil, nil -- on which nothing is decided
  elseif ended then
    repeat excess = excess - #cjson.encode(forget_one(ended)) until excess <= 0 or not ended[1]
    if not ended[1] then ended, record.ended = nil, nil end
  else
    error('editlock: the record would be too large')
  end
end
-- When its memory is full, Redis refuses SET, but not to a script that has called a command that counts as
-- a write. So what is known is renewed, released and taken over; only a new key is refused.
if redis.pcall('SET', KEYS[1], text, 'PX', keep).err then
  if known then redis.call('GETEX', KEYS[1]) end
  redis.call('SET', KEYS[1], text, 'PX', keep)
end
-- The channel has the name of the key. Redis has SPUBLISH since 7.0. Where a script may not publish (an ACL, a managed
-- server), the caller does.
if announced or (held and last < expires) then
  local heard = redis.pcall(ARGV[8], KEYS[1], outcome)
  if type(heard) == 'table' and ARGV[8] ~= 'PUBLISH' then heard = redis.pcall('PUBLISH', KEYS[1], outcome) end
  if type(heard) == 'table' then outcome = outcome .. ' unannounced' end
end
return KEYS[1] .. '\n' .. outcome .. '\n' .. clock[1] .. ' ' .. clock[2] .. '\n' .. text .. '\0' .. before
