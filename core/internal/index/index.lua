-- The beginning of every script: it forgets what is over.
--
-- KEYS[1]  the user's index, a sorted set. A member is "hold <uid>", a lock that the user may hold, or "claim <uid>", one
--          that a call under way may acquire. Its score is when that is over at the latest.
-- ARGV     operation, for readers of the command; then as the operation says
--
-- Times are microseconds of Redis's clock, so that no two notes of a hold have one score.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function number(n) return string.format('%.0f', tonumber(n)) end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', number(now))

-- add has the member until a time, and the key as long as its last member.
local function add(member, over)
  redis.call('ZADD', KEYS[1], number(over), member)
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
  redis.call('PEXPIREAT', KEYS[1], number(math.ceil(last[2] / 1000)))
end

-- list returns "listed", and a line for each member: its score and itself.
local function list()
  local lines, members = { 'listed' }, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
  for i = 1, #members, 2 do lines[#lines + 1] = number(members[i + 1]) .. ' ' .. members[i] end
  return table.concat(lines, '\n')
end
