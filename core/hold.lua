-- The head of every operation's script: the one place that reads and writes a resource's value.
--
-- KEYS[1]  one string for one resource (DESIGN.md, invariant 1), lines of text:
--   <fence> <start>{ <claim>=<end>}   the hold and its claims: u is unnamed, l a linger, c<session> a page's
--   <owner>
--   <the owner's name>
--   {<session> <owner> TAB <until>}   ended sessions and how long they are remembered, the oldest first
-- All times are Redis TIME in microseconds. Owners and names have no control characters: core/user.go
-- escapes them. core/value.go reads the first three lines, too.
--
-- ARGV  the same for every operation: owner, name, session ('' is unnamed), duration (the timeout; of a
-- release the linger), fence (0: any), retention, channel, mode.
--
-- The lock is held while a claim's end lies ahead of TIME. The key itself lives on for the retention
-- time, so that the owner and the fence of the last hold are still known.
-- A script returns one string, never nil. Numbers of 16 digits stay text or go through %.0f, since
-- tostring rounds at 14.
--
-- Each script is one straight line: hold.lua reads, the operation decides, grant.lua makes the claim of an
-- operation that may have one, and answer.lua writes what has changed and replies. There are no functions,
-- since making one costs Redis as much as a whole decision, and while a script runs nothing else does.

local MAX_SESSIONS, MAX_ENDED, ENDED_MEMORY = 32, 64, 600000000

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local owner, name, session = ARGV[1], ARGV[2], ARGV[3]
local duration, retention = tonumber(ARGV[4]), tonumber(ARGV[6])
local match = ARGV[5] ~= '0' and ARGV[5]

-- A wrong argument must fail before the first write: a script that stops half way leaves what it wrote.
if not (duration and duration >= 0 and duration % 1 == 0 and duration < 2 ^ 52
  and retention and retention >= 1 and retention % 1 == 0 and retention < 2 ^ 52 and tonumber(ARGV[5])) then
  error('editlock: argument out of range')
end

local fence, start, list, holder, holder_name, ended = '0', '0', '', '', '', ''
local claims, lapsed = {}, {} -- the ends of those that hold the lock, and of those that do not any more
local held = false

local value = redis.call('GET', KEYS[1])
if value then
  fence, start, list, holder, holder_name, ended =
    string.match(value, '^(%d+) (%d+)([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
  if not fence then error('editlock: the key holds something else') end
  for claim, at in string.gmatch(list, ' ([%w_-]+)=(%d+)') do
    at = tonumber(at)
    if at > now then claims[claim], held = at, true else lapsed[claim] = at end
  end
end

local mine = holder == owner

-- has_ended: the caller's session was released, and takes no claim again.
local has_ended = false
if session ~= '' and ended ~= '' then
  local _, at = string.find('\n' .. ended, '\n' .. session .. ' ' .. owner .. '\t', 1, true)
  has_ended = at and tonumber(string.match(ended, '%d+', at)) > now
end

-- What the operation decides:
local outcome          -- the first word of the reply
local previous = ''    -- the user whose hold turned out to be over
local granted = false  -- the caller gets a claim: grant.lua
local changed = false  -- the value is to be written
local life             -- how long it is kept; without it the retention time after the last claim
local announce = false -- the lock has changed hands, or its end has come nearer
