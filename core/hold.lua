-- The head of every operation's script: the one place that reads and writes a resource's hash.
--
-- KEYS[1]  one hash for one resource (DESIGN.md, invariant 1)
--   o, n, f, s     owner, its name, fence, start of the hold
--   u              end of the unnamed claim        (all times: Redis TIME in microseconds)
--   l              end of the linger
--   c:<session>    end of a named session's claim
--   x:<session>:<owner>   an ended session, and until when it is remembered
--
-- The lock is held while a claim's end lies ahead of TIME. The key itself lives on for the retention
-- time, so that the owner and the fence of the last hold are still known.
-- A script returns one string, never nil; numbers go through %.0f, since tostring rounds at 14 digits.

local MAX_SESSIONS, MAX_ENDED = 32, 64

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local hold = {owner = '', name = '', fence = 0, start = now, lapsed = false}
local claims, ended = {}, {}
local set, drop = {}, {}
local saved = false

do
  local simple = {o = 'owner', n = 'name', f = 'fence', s = 'start'}
  local flat = redis.call('HGETALL', KEYS[1])
  for i = 1, #flat, 2 do
    local field, value = flat[i], flat[i + 1]
    local kind = string.sub(field, 1, 1)
    if simple[field] then
      hold[simple[field]] = value
    elseif tonumber(value) <= now then
      drop[#drop + 1] = field
      hold.lapsed = hold.lapsed or kind == 'c' or kind == 'u'
    elseif kind == 'x' then
      ended[field] = tonumber(value)
    else
      claims[field] = tonumber(value)
    end
  end
  hold.fence, hold.start = tonumber(hold.fence), tonumber(hold.start)
end

-- A wrong argument must fail before the first write: a script that stops half way leaves what it wrote.
local function whole(text, least)
  local n = tonumber(text)
  if not n or n < least or n ~= math.floor(n) or n >= 2 ^ 53 then
    error('editlock: argument out of range: ' .. tostring(text))
  end
  return n
end

local function put(field, value)
  set[#set + 1] = field
  set[#set + 1] = type(value) == 'number' and string.format('%.0f', value) or value
end

local function forget(list, field)
  list[field] = nil
  drop[#drop + 1] = field
end

-- ends is when the last claim ends; 0 without one.
local function ends()
  local last = 0
  for _, at in pairs(claims) do last = math.max(last, at) end
  return last
end

local function held() return ends() > now end
local function held_by(owner) return held() and hold.owner == owner end

local function sessions()
  local n = 0
  for field in pairs(claims) do
    if string.sub(field, 1, 1) == 'c' then n = n + 1 end
  end
  return n
end

local function has_ended(session, owner)
  return session ~= '' and ended['x:' .. session .. ':' .. owner] ~= nil
end

-- first finds the entry of that kind that ends first, or with latest the one that ends last; never the linger.
local function pick(list, kinds, latest)
  local found, at
  for field, value in pairs(list) do
    if string.find(kinds, string.sub(field, 1, 1), 1, true) then
      if not at or (latest and value > at) or (not latest and value < at)
        or (value == at and field < found) then
        found, at = field, value
      end
    end
  end
  return found, at
end

-- remember_ended notes an ended session for its user, and lets the oldest note go beyond the limit.
local function remember_ended(session, owner, memory)
  local field, n = 'x:' .. session .. ':' .. owner, 0
  ended[field] = now + memory
  put(field, ended[field])
  for _ in pairs(ended) do n = n + 1 end
  if n > MAX_ENDED then forget(ended, (pick(ended, 'x'))) end
end

-- save writes what changed and sets the key's end, which no write may leave out.
-- Removal comes first: Redis refuses HSET when its memory is full, but not to a script that has
-- already written, so a release gets through and an acquire is refused before it changes anything.
local function save(life)
  saved = true
  if #drop > 0 then redis.call('HDEL', KEYS[1], unpack(drop)) end
  local keep = {}
  for i = 1, #set, 2 do
    local field = set[i]
    local kind = string.sub(field, 1, 1)
    if not ((kind == 'x' and not ended[field]) or (kind == 'c' and not claims[field])) then
      keep[#keep + 1] = field
      keep[#keep + 1] = set[i + 1]
    end
  end
  if #keep > 0 then redis.call('HSET', KEYS[1], unpack(keep)) end
  for _, at in pairs(ended) do life = math.max(life, at - now) end
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(life / 1000)))
end

-- announce tells those who wait for a change of hands; the channel is the last argument of every script
-- that can bring one about. It comes after everything is written and its failure is nobody's (an ACL may
-- refuse it): who waits looks again by itself.
local function announce() redis.pcall('PUBLISH', ARGV[#ARGV], KEYS[1]) end

-- grant makes the claim of a caller that may have the lock, and saves. It gives the outcome and
-- the user whose hold thereby turned out to be over.
local function grant(owner, name, ttl, session, retention)
  local outcome, previous = 'renewed', ''
  if not held_by(owner) then
    outcome = held() and 'taken' or 'acquired'
    if held() or hold.lapsed then previous = hold.owner end
    for field in pairs(claims) do drop[#drop + 1] = field end
    claims = {}
    -- A fence stays with its user as long as nobody else held the lock in between.
    if hold.owner ~= owner then
      hold.owner, hold.fence = owner, math.max(now, hold.fence + 1)
      put('o', hold.owner)
      put('f', hold.fence)
    end
    hold.start = now
    put('s', hold.start)
  end
  if hold.name ~= name then
    hold.name = name
    put('n', name)
  end
  local field = session == '' and 'u' or 'c:' .. session
  if session ~= '' and not claims[field] and sessions() >= MAX_SESSIONS then
    forget(claims, (pick(claims, 'c')))
  end
  claims[field] = now + ttl
  put(field, claims[field])
  save(ends() - now + retention)
  if outcome ~= 'renewed' then announce() end
  return outcome, previous
end

-- A replica, and so a master that was demoted, runs a script that writes nothing and would answer from
-- the past. Every outcome that wrote nothing therefore attempts a write that changes nothing: a replica
-- refuses it (READONLY), and then there is no answer.
local function confirm_master() redis.call('HDEL', KEYS[1], '') end

-- reply is what core/script.go parses: outcome, fence, sessions, time held, time left,
-- the lengths of owner and previous, then owner, previous and name, which may contain anything.
local function reply(outcome, previous)
  if not saved then confirm_master() end
  previous = previous or ''
  local left = math.max(0, ends() - now)
  local since = left > 0 and math.max(0, now - hold.start) or 0
  return string.format('%s %.0f %d %.0f %.0f %d %d ', outcome, hold.fence, sessions(), since, left,
    #hold.owner, #previous) .. hold.owner .. previous .. hold.name
end
