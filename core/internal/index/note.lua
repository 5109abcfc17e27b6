
-- note: the user may hold the lock of uid ARGV[2] for ARGV[3] milliseconds from now. The score grows with each note, so
-- that drop sees a note that came after its list.
local member = 'hold ' .. ARGV[2]
local before = redis.call('ZSCORE', KEYS[1], member)
add(member, math.max(now + ARGV[3] * 1000, before and before + 1 or 0))
redis.call('ZREM', KEYS[1], 'claim ' .. ARGV[2])
return 'noted'
