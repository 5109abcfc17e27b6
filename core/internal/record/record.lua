-- The beginning of every operation's script: it reads the resource's record and checks it.
--
-- A script is one straight line: record.lua reads, forget.lua is a function of those that write, the operation decides,
-- grant.lua gives a lease to a caller that may have one, write.lua writes what has changed. An operation that changes nothing ends with
-- "return unchanged(outcome)". Much of what a script costs is Lua, so there are few functions, and few numbers
-- are printed.
--
-- KEYS[1]  the resource's key, the only one.
-- ARGV     operation, for readers of the command
--          user and name of the caller; the user is an integer, or a string between quotes
--          session of the caller, '' for the unnamed lease
--          duration: the ttl, or the linger of a release, in milliseconds
--          fence that the caller names, 0 for none
--          duration and retention together, in milliseconds
--          command that announces a change: PUBLISH, or SPUBLISH
--          options, words in any order: session (the scope), renew, acquire (of a check)
--          idle: for how many milliseconds the caller has not typed, '' if that is not said
--
-- The record is JSON; record.go says what its fields mean and has the same rule for what is valid.
-- Times are milliseconds of Redis's clock, since cjson prints no more than 14 digits of a number.
-- Fields that these scripts do not know stay in the record.
local MAX_SIZE, MAX_NUMBER = 16384, 1e14
local MAX_SESSIONS, MAX_ENDED, ENDED_MEMORY = 32, 64, 600000
local ASK_MEMORY = 30000
local SEVERAL = '*' -- no session has this name
local MALFORMED = 'MALFORMED editlock: the key does not hold the record of a resource'

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- The caller, and what it asks for. Arguments are checked here: a script that fails after its first write
-- would leave half of a change behind.
local caller = tonumber(ARGV[2]) or string.sub(ARGV[2], 2, -2)
local session = ARGV[4]
local duration, named_fence, lifetime, idle = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[10])
local by_session = string.find(ARGV[9], 'session', 1, true)
if not (duration and duration >= 0 and duration % 1 == 0 and now + duration < MAX_NUMBER and named_fence
    and lifetime and lifetime > duration and lifetime % 1 == 0 and lifetime < MAX_NUMBER
    and (ARGV[10] == '' or idle and idle >= 0 and idle < MAX_NUMBER and idle % 1 == 0)) then
  return redis.error_reply('ERR editlock: argument out of range')
end

-- is_time reports whether a field of the record can be a time or a fence.
local function is_time(n)
  return type(n) == 'number' and n >= 0 and n < MAX_NUMBER and n % 1 == 0
end

-- is_user reports whether a field of the record can be a user's id.
local function is_user(id)
  if type(id) == 'number' then return id > -MAX_NUMBER and id < MAX_NUMBER and id % 1 == 0 end
  return type(id) == 'string' and id ~= ''
end

-- One byte more than a record may have shows that a value is too large, whatever its size is.
local text = redis.pcall('GETRANGE', KEYS[1], '0', '16384')
if type(text) == 'table' then return text end -- WRONGTYPE, say

local record = {}
if text == '' then
  text = nil -- no key, or one without anything in it
else
  -- cjson takes a NUL for the end of the text, and would pass over what follows.
  if #text > MAX_SIZE or string.sub(text, 1, 1) ~= '{' or string.find(text, '\0', 1, true) then
    return redis.error_reply(MALFORMED)
  end
  local decoded
  decoded, record = pcall(cjson.decode, text)
  if not decoded or type(record) ~= 'table' then return redis.error_reply(MALFORMED) end
end
local leases, linger = record.leases, record.linger
if record.user == nil then
  if record.fence ~= nil or leases ~= nil or linger ~= nil then return redis.error_reply(MALFORMED) end
elseif not (is_user(record.user) and is_time(record.fence) and record.fence >= 1) then
  return redis.error_reply(MALFORMED)
end
if (record.name ~= nil and type(record.name) ~= 'string') or (record.since ~= nil and not is_time(record.since))
    or (linger ~= nil and not is_time(linger)) or (record.session ~= nil and type(record.session) ~= 'string') then
  return redis.error_reply(MALFORMED)
end

local expires = linger or 0 -- when the lock ends
if leases ~= nil then
  if type(leases) ~= 'table' then return redis.error_reply(MALFORMED) end
  for name, lease_end in pairs(leases) do
    if type(name) ~= 'string' or not is_time(lease_end) then return redis.error_reply(MALFORMED) end
    if lease_end > expires then expires = lease_end end
  end
else
  leases = {}
end

local ended = record.ended
local session_ended = false -- whether the caller's session was released
if ended ~= nil then
  if type(ended) ~= 'table' then return redis.error_reply(MALFORMED) end
  for index, entry in pairs(ended) do
    if type(index) ~= 'number' or type(entry) ~= 'table' or not is_user(entry.user)
        or type(entry.session) ~= 'string' or not is_time(entry['until']) then
      return redis.error_reply(MALFORMED)
    end
    if entry.session == session and entry.user == caller and entry['until'] > now then session_ended = true end
  end
end

-- Of what nothing valid says, nothing is known.
local ask = record.ask -- of this hold, and not over
if not (type(ask) == 'table' and record.user and ask.fence == record.fence and is_user(ask.user) and ask.user ~= record.user
    and type(ask.name) == 'string' and is_time(ask['until']) and ask['until'] > now) then
  ask = nil
end
local typed = type(record.typed) == 'table' and record.typed or nil -- when each session was typed in last
for name, at in pairs(typed or {}) do
  if type(name) ~= 'string' or not is_time(at) then typed[name] = nil end
end

local held = expires > now
local mine = record.user == caller
local locked = held and not mine -- somebody else holds the lock
local heir = false               -- the session may take up the user's hold, under its fence

-- In scope session a hold is one session's. A hold without one was made in scope user, or handed over: then it is that of the
-- session with the only lease, or else of the first that acquires.
if by_session and mine then
  local others = false -- leases of other sessions, of servers in scope user
  for name, lease_end in pairs(leases) do
    if name ~= session and lease_end > now then others = true end
  end
  locked = others
  if others then
    mine = false
  elseif record.session then
    mine = record.session == session
  else
    mine = leases[session] ~= nil and (leases[session] > now or not held)
    heir = held and not mine
  end
end

-- unchanged replies without a change, as write.lua does after one. A replica, or a master that was demoted, would
-- run such a script and answer from the past: it refuses GETEX, which changes nothing but counts as a write.
local function unchanged(outcome)
  redis.call('GETEX', KEYS[1])
  return KEYS[1] .. '\n' .. outcome .. '\n' .. clock[1] .. ' ' .. clock[2] .. '\n' .. (text or '') .. '\0'
end

-- What the operation decides. The table of leases and the linger are changed in place.
local outcome              -- the first word of the reply
local before = ''          -- the record of a hold that turned out to be over
local keep                 -- for how long the record is kept, in milliseconds; without it until the retention after the lock
local announced = false    -- waiters hear of it, even if the lock does not end sooner than it did

