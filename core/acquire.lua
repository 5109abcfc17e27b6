-- acquire: acquire or renew; under a fence only a hold that is still the caller's own.
local owner, name, session = ARGV[1], ARGV[2], ARGV[3]
local ttl, match, retention = whole(ARGV[4], 1), whole(ARGV[5], 0), whole(ARGV[6], 1)

if held() and hold.owner ~= owner then return reply('locked') end
if match > 0 then
  if hold.fence == 0 then return reply('forgotten') end
  if hold.owner ~= owner or hold.fence ~= match then return reply('moved') end
end
if has_ended(session, owner) then return reply('ended') end
return reply(grant(owner, name, ttl, session, retention))
