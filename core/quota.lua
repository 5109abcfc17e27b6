-- quota: the locks of one user, for Options.MaxLocksPerUser. It is no part of a lock's decision, and has
-- a key of its own: a script with two keys could not run on a cluster.
-- KEYS[1] sorted set of the user's resources by the end of their holds (Redis TIME in microseconds).
-- ARGV: resource, how long it is held from now on (0: it is not), limit (0: none).
local resource = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ttl, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
if not ttl or ttl < 0 or not limit or limit < 0 then error('editlock: argument out of range') end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
if ttl == 0 then
  redis.call('ZREM', KEYS[1], resource)
  return 'forgotten'
end
local known = redis.call('ZSCORE', KEYS[1], resource)
if not known and limit > 0 and redis.call('ZCARD', KEYS[1]) >= limit then return 'full' end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ttl), resource)
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil((last - now) / 1000)))
return known and 'known' or 'counted'
