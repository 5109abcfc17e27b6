-- release: end one session, or without one all of the caller's hold. ARGV: owner, session, linger
-- (0: none), fence that the hold must have (0: any), how long an ended session is remembered, retention,
-- channel.
local owner, session = ARGV[1], ARGV[2]
local linger, match = whole(ARGV[3], 0), whole(ARGV[4], 0)
local memory, retention = whole(ARGV[5], 1), whole(ARGV[6], 1)

local mine = hold.owner == owner and (match == 0 or hold.fence == match)
local was_held = held()
local live = false -- whether a claim was ended that still held the lock

if not mine then
  -- What has lapsed of another's hold stays on record until that user's next call: a release of all ends
  -- those sessions too, and the call that finds them tells of the expiry.
  for i = #drop, 1, -1 do
    if string.sub(drop[i], 1, 1) ~= 'x' then table.remove(drop, i) end
  end
end

if session ~= '' then
  local field = 'c:' .. session
  if mine and claims[field] then
    live = true
    forget(claims, field)
  end
  -- Also where nothing was held: a POST that this release overtook must find its session ended.
  remember_ended(session, owner, memory)
elseif mine then
  local over = {}
  for _, field in ipairs(drop) do over[field] = true end
  for field in pairs(claims) do
    if field ~= 'l' then
      live = true
      over[field] = true
    elseif linger == 0 then
      over[field] = true
    end
  end
  for field in pairs(over) do
    if claims[field] then forget(claims, field) end
    if string.sub(field, 1, 2) == 'c:' then remember_ended(string.sub(field, 3), owner, memory) end
  end
end

-- Only a claim that held the lock until now may linger, so a repeated release prolongs nothing.
if live and linger > 0 then
  claims.l = math.max(claims.l or 0, now + linger)
  put('l', claims.l)
end

if live then
  save(math.max(0, ends() - now) + retention)
elseif #set > 0 or #drop > 0 then
  save(math.max(1, redis.call('PTTL', KEYS[1]) * 1000))
end

-- Also where other claims remain: the end may have come nearer.
local changed = was_held and mine and (live or not held())
if changed then announce() end
if was_held and not held() then return reply('released') end
if not live then return reply('none') end
return reply(pick(claims, 'cu') and 'kept' or 'lingering')
