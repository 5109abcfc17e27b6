-- The head of every operation's script: the one place that writes a resource's value.
--
-- KEYS[1]  one string for one resource (DESIGN.md, invariant 1), lines of text:
--   <fence> <start>{ <claim>=<end>}   the hold and its claims: u is unnamed, l a linger, c<session> a page's
--   <owner>
--   <the owner's name>
--   {<session> <owner> TAB <until>}   ended sessions and how long they are remembered, the oldest first
-- All times are Redis TIME in microseconds. Owners and names have no control characters: core/user.go
-- escapes them. core/read.go reads the first three lines, too.
--
-- ARGV  the same for every operation: owner, name, session ('' is unnamed), duration (the timeout; of a
-- release the linger), fence (0: any), retention, channel, mode.
--
-- The lock is held while a claim's end lies ahead of TIME. The key itself lives on for the retention
-- time, so that the owner and the fence of the last hold are still known.
-- A script returns one string, never nil; numbers go through %.0f, since tostring rounds at 14 digits.

local MAX_SESSIONS, MAX_ENDED, ENDED_MEMORY = 32, 64, 600000000

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local hold = {owner = '', name = '', fence = 0, start = now}
local claims, lapsed = {}, {} -- the ends of those that hold the lock, and of those that do not any more
local ended = ''
local known = false -- that the key exists
local confirmed = false -- that this is a master

do
  local value = redis.call('GET', KEYS[1])
  known = value
  if value then
    local fence, start, list, owner, name, rest =
      string.match(value, '^(%d+) (%d+)([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
    if not fence then error('editlock: the key holds something else') end
    hold.fence, hold.start, hold.owner, hold.name, ended = tonumber(fence), tonumber(start), owner, name, rest
    for claim, at in string.gmatch(list, ' ([%w_-]+)=(%d+)') do
      at = tonumber(at)
      if at > now then claims[claim] = at else lapsed[claim] = at end
    end
  end
end

-- A wrong argument must fail before the first write: a script that stops half way leaves what it wrote.
local function whole(text, least)
  local n = tonumber(text)
  if not n or n < least or n ~= math.floor(n) or n >= 2 ^ 53 then
    error('editlock: argument out of range: ' .. tostring(text))
  end
  return n
end

-- ends is when the last claim ends; 0 without one.
local function ends()
  local last = 0
  for _, at in pairs(claims) do
    if at > last then last = at end
  end
  return last
end

local function held() return next(claims) ~= nil end
local function held_by(owner) return held() and hold.owner == owner end

local function is_session(claim) return string.byte(claim) == 99 end -- c

local function sessions()
  local n = 0
  for claim in pairs(claims) do
    if is_session(claim) then n = n + 1 end
  end
  return n
end

local function has_ended(session, owner)
  if session == '' or ended == '' then return false end
  local _, at = string.find('\n' .. ended, '\n' .. session .. ' ' .. owner .. '\t', 1, true)
  return at ~= nil and tonumber(string.match(ended, '%d+', at)) > now
end

-- A replica, and so a master that was demoted, runs a script that writes nothing and would answer from
-- the past. Every outcome that wrote nothing therefore reads once more by a command that counts as a
-- write: a replica refuses it (READONLY), and then there is no answer.
local function confirm_master()
  confirmed = true
  redis.call('GETEX', KEYS[1])
end

-- save writes the whole value with its end, which no write may leave out.
local function save(life)
  confirmed = true
  local lines = {string.format('%.0f %.0f', hold.fence, hold.start)}
  for claim, at in pairs(claims) do lines[#lines + 1] = string.format(' %s=%.0f', claim, at) end
  for claim, at in pairs(lapsed) do lines[#lines + 1] = string.format(' %s=%.0f', claim, at) end
  if ended ~= '' then
    local latest = tonumber(string.match(ended, '(%d+)\n$'))
    life = math.max(life, latest - now)
  end
  local text = table.concat(lines) .. '\n' .. hold.owner .. '\n' .. hold.name .. '\n' .. ended
  local ms = string.format('%.0f', math.ceil(life / 1000))
  if not known then
    redis.call('SET', KEYS[1], text, 'PX', ms)
    return
  end
  -- When its memory is full, Redis refuses SET, but not to a script that has already called a command that
  -- counts as a write. So what is known is renewed, released and taken over; only a new key is refused.
  local answer = redis.pcall('SET', KEYS[1], text, 'PX', ms)
  if answer.err then
    confirm_master()
    redis.call('SET', KEYS[1], text, 'PX', ms)
  end
end

-- announce tells those who wait for a change of hands. It comes after everything is written and its
-- failure is nobody's (an ACL may refuse it): who waits looks again by itself.
local function announce() redis.pcall('PUBLISH', ARGV[7], KEYS[1]) end

-- reply is what core/script.go parses: outcome, fence, sessions, time held, time left,
-- the lengths of owner and previous, then owner, previous and name.
local function reply(outcome, previous)
  if not confirmed then confirm_master() end
  previous = previous or ''
  local left = math.max(0, ends() - now)
  local since = left > 0 and math.max(0, now - hold.start) or 0
  return string.format('%s %.0f %d %.0f %.0f %d %d ', outcome, hold.fence, sessions(), since, left,
    #hold.owner, #previous) .. hold.owner .. previous .. hold.name
end
