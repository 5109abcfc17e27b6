-- takeover: take the lock from another user, if its fence is the one that the caller saw.
local owner, name, session = ARGV[1], ARGV[2], ARGV[3]
local ttl, seen, retention = whole(ARGV[4], 1), whole(ARGV[5], 1), whole(ARGV[6], 1)

if held() and hold.owner ~= owner and hold.fence ~= seen then return reply('conflict') end
if has_ended(session, owner) then return reply('ended') end
return reply(grant(owner, name, ttl, session, retention))
