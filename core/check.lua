-- check: the guard's question. ARGV: owner, name, ttl, session, fence that the hold must have (0: any),
-- 1 to renew when a third of ttl has gone, 1 to acquire if free, retention, channel.
local owner, name, session = ARGV[1], ARGV[2], ARGV[4]
local ttl, match, retention = whole(ARGV[3], 1), whole(ARGV[5], 0), whole(ARGV[8], 1)
local renew, acquire = ARGV[6] == '1', ARGV[7] == '1'

if held() and hold.owner ~= owner then return reply('locked') end
if not held() then
  if not acquire then return reply('free') end
  if match > 0 then
    if hold.fence == 0 then return reply('forgotten') end
    if hold.owner ~= owner or hold.fence ~= match then return reply('moved') end
  end
  if has_ended(session, owner) then return reply('free') end
  return reply(grant(owner, name, ttl, session, retention))
end
if match > 0 and hold.fence ~= match then return reply('moved') end
if renew then
  -- A check makes no claim: it moves the end of one that is there.
  local field = 'c:' .. session
  if not claims[field] then field = pick(claims, 'cu', true) end
  if field and claims[field] - now <= ttl * 2 / 3 then
    claims[field] = now + ttl
    put(field, claims[field])
    save(ends() - now + retention)
    return reply('renewed')
  end
end
return reply('held')
