-- answer: write, tell those who wait, reply.
if changed then
  local last = now
  list = ''
  for claim, at in pairs(claims) do
    list = list .. string.format(' %s=%.0f', claim, at)
    if at > last then last = at end
  end
  for claim, at in pairs(lapsed) do list = list .. string.format(' %s=%.0f', claim, at) end
  life = life or last - now + retention
  if ended ~= '' then life = math.max(life, tonumber(string.match(ended, '(%d+)\n$')) - now) end
  local text = fence .. ' ' .. start .. list .. '\n' .. holder .. '\n' .. holder_name .. '\n' .. ended
  -- One command sets the value and the key's end. When its memory is full, Redis refuses it, but not to a
  -- script that has already called a command that counts as a write. So what is known is renewed, released
  -- and taken over; only a new key is refused.
  local ms = math.ceil(life / 1000)
  if redis.pcall('SET', KEYS[1], text, 'PX', ms).err then
    if value then redis.call('GETEX', KEYS[1]) end
    redis.call('SET', KEYS[1], text, 'PX', ms)
  end
  value = text
  -- Last, and its failure is nobody's (an ACL may refuse it): who waits looks again without it.
  if announce then redis.pcall('PUBLISH', ARGV[7], KEYS[1]) end
else
  -- A replica, and so a master that was demoted, runs a script that writes nothing and would answer from
  -- the past. So it reads once more by a command that counts as a write: a replica refuses it (READONLY),
  -- and then there is no answer.
  redis.call('GETEX', KEYS[1])
end

-- What core/script.go parses: the outcome and the time, the value's first three lines, the previous user.
outcome = outcome .. ' ' .. time[1] .. ' ' .. time[2] .. '\n'
if not value then return outcome end
return outcome .. fence .. ' ' .. start .. list .. '\n' .. holder .. '\n' .. holder_name .. '\n' .. previous
