-- The head of every operation's script: the one place that reads and writes a resource's value.
--
-- KEYS[1]  one string for one resource (DESIGN.md, invariant 1), packed by Redis's library struct: d is a
-- double, the low byte first, B a byte, s a string that ends with a zero byte.
--   d fence, d start of the hold; both are 0, and there is no owner, where only ended sessions are known
--   d end of the unnamed claim, d of a linger, 0 where there is none; B number of sessions with a claim
--   s owner, s the owner's name
--   for each such session: d the end of its claim, s the session
--   and, as lines of text, the oldest first, ended sessions and how long they are remembered:
--     <session> <owner> TAB <until>
-- Claims that have lapsed stay on record until their user's next call, a linger until the next hold.
-- All times are Redis TIME in microseconds, doubles as Lua's numbers are. Owners and names have no control
-- characters: core/user.go escapes them. core/value.go reads all but the last part, too.
--
-- ARGV  the same for every operation: owner, name, session ('' is unnamed), duration (the timeout; of a
-- release the linger), fence (0: any), life (duration and retention time, in milliseconds), channel, mode.
--
-- The lock is held while a claim's end lies ahead of TIME. The key itself lives on for the retention
-- time, so that the owner and the fence of the last hold are still known.
-- A script returns one string, never nil.
--
-- Each script is one straight line: hold.lua reads, the operation decides, grant.lua makes the claim of an
-- operation that may have one, and answer.lua writes what has changed and replies. While a script runs
-- nothing else does, and much of what it costs is Lua: so there are no functions, and the numbers of a value
-- are packed and not printed (to print one of 16 digits costs as much as to read a key).

local MAX_SESSIONS, MAX_ENDED, ENDED_MEMORY = 32, 64, 600000000

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local owner, name, session = ARGV[1], ARGV[2], ARGV[3]
-- A wrong argument must fail before the first write: a script that stops half way leaves what it wrote.
local duration, match = ARGV[4] + 0, ARGV[5] ~= '0' and ARGV[5] + 0
if not (duration >= 0 and duration < 2 ^ 52) then error('editlock: argument out of range') end

local fence, start, holder, holder_name, ended = 0, 0, '', '', ''
local unnamed, linger, claims = 0, 0, {} -- when they end; those that have lapsed stay on record for a while
local last = 0                           -- the end of the last one

local value = redis.call('GET', KEYS[1])
if value then
  local count, at, claimant, rest
  fence, start, unnamed, linger, count, holder, holder_name, rest = struct.unpack('<ddddBss', value)
  if fence < 0 or fence % 1 ~= 0 or fence >= 2 ^ 53 then error('editlock: the key holds something else') end
  last = math.max(unnamed, linger)
  for _ = 1, count do
    at, claimant, rest = struct.unpack('<ds', value, rest)
    claims[claimant] = at
    if at > last then last = at end
  end
  if rest <= #value then ended = string.sub(value, rest) end
end

local held = last > now
local mine = holder == owner

-- has_ended: the caller's session was released, and takes no claim again.
local has_ended = false
if session ~= '' and ended ~= '' then
  local _, at = string.find('\n' .. ended, '\n' .. session .. ' ' .. owner .. '\t', 1, true)
  has_ended = at and tonumber(string.match(ended, '%d+', at) or 0) > now
end

-- What the operation decides:
local outcome          -- the first word of the reply
local previous = ''    -- the user whose hold turned out to be over
local granted = false  -- the caller gets a claim: grant.lua
local changed = false  -- the value is to be written
local lapsed = true    -- claims that have lapsed stay on record
local life             -- how long the value is kept; without it the retention time after the last claim
local announce = false -- the lock has changed hands, or its end has come nearer
