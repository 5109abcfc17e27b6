
-- claim: a call of the next ARGV[3] milliseconds may acquire uid ARGV[2], if the user has fewer than ARGV[4] others. The
-- reply is "claimed", or the list of what the user has.
local uids, others = {}, 0
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local uid = string.sub(member, string.find(member, ' ', 1, true) + 1)
  if uid ~= ARGV[2] and not uids[uid] then uids[uid], others = true, others + 1 end
end
if others >= tonumber(ARGV[4]) then return list() end
add('claim ' .. ARGV[2], now + ARGV[3] * 1000)
return 'claimed'
