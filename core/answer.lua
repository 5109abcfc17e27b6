-- answer: write, tell those who wait, reply.
local head = value -- all but the ended sessions
if changed then
  local last = now
  if unnamed > last then last = unnamed elseif not lapsed then unnamed = 0 end
  if linger > last then last = linger end
  local sessions, count = '', 0
  for claimant, at in pairs(claims) do
    if lapsed or at > now then
      sessions, count = sessions .. struct.pack('<ds', at, claimant), count + 1
      if at > last then last = at end
    end
  end
  head = struct.pack('<ddddBss', fence, start, unnamed, linger, count, holder, holder_name) .. sessions
  local text = head .. ended
  if not life then
    life = ARGV[6] -- as text, which need not be printed
    if last ~= now + duration then life = math.ceil((last - now - duration) / 1000 + life) end
  end
  if ended ~= '' then life = math.max(life, math.ceil((string.match(ended, '(%d+)\n$') - now) / 1000)) end
  -- One command sets the value and the key's end. When its memory is full, Redis refuses it, but not to a
  -- script that has already called a command that counts as a write. So what is known is renewed, released
  -- and taken over; only a new key is refused.
  if redis.pcall('PSETEX', KEYS[1], life, text).err then
    if value then redis.call('GETEX', KEYS[1]) end
    redis.call('PSETEX', KEYS[1], life, text)
  end
  -- Last, and its failure is nobody's (an ACL may refuse it): who waits looks again without it.
  if announce then redis.pcall('PUBLISH', ARGV[7], KEYS[1]) end
else
  -- A replica, and so a master that was demoted, runs a script that writes nothing and would answer from
  -- the past. So it reads once more by a command that counts as a write: a replica refuses it (READONLY),
  -- and then there is no answer.
  redis.call('GETEX', KEYS[1])
  if value and ended ~= '' then head = string.sub(value, 1, -1 - #ended) end
end

-- What core/script.go parses: the outcome, the time and the previous user, and the value but for its last part.
return outcome .. ' ' .. time[1] .. ' ' .. time[2] .. ' ' .. previous .. '\n' .. (head or '')
