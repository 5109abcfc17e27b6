-- check: the guard's question, where it may have to write. Mode: 1 renews when a third of the timeout has
-- gone, 2 acquires if free, 3 does both. core/read.go answers the same without a script where it can.
local owner, name, session = ARGV[1], ARGV[2], ARGV[3]
local ttl, match, retention = whole(ARGV[4], 1), whole(ARGV[5], 0), whole(ARGV[6], 1)
local mode = whole(ARGV[8], 0)
local renew, acquire = mode % 2 == 1, mode >= 2

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
  -- A check makes no claim: it moves the end of one that is there, but not of a linger.
  local claim = 'c' .. session
  if not claims[claim] then
    claim = nil
    for other, at in pairs(claims) do
      if other ~= 'l' and (not claim or at > claims[claim]) then claim = other end
    end
  end
  if claim and claims[claim] - now <= ttl * 2 / 3 then
    claims[claim], lapsed = now + ttl, {}
    save(ends() - now + retention)
    return reply('renewed')
  end
end
return reply('held')
