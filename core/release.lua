-- release: end one session, or without one all of the caller's hold; the duration is the linger (0: none).
local owner, session = ARGV[1], ARGV[3]
local linger, match, retention = whole(ARGV[4], 0), whole(ARGV[5], 0), whole(ARGV[6], 1)

local mine = hold.owner == owner and (match == 0 or hold.fence == match)
local was_held = held()
local live = false -- whether a claim was ended that still held the lock
local over = {}    -- sessions that this ends
local changed = false -- whether anything else is to be written

if session ~= '' then
  -- Also where nothing was held: a POST that this release overtook must find its session ended.
  over[1] = session
  if mine and claims['c' .. session] then
    live = true
    claims['c' .. session] = nil
  end
elseif mine then
  for _, list in ipairs({claims, lapsed}) do
    for claim in pairs(list) do
      if is_session(claim) then over[#over + 1] = string.sub(claim, 2) end
    end
  end
  if claims.l and linger == 0 then
    claims.l, changed = nil, true
  end
  for claim in pairs(claims) do
    if claim ~= 'l' then
      live = true
      claims[claim] = nil
    end
  end
end
-- What has lapsed of another's hold stays on record until that user's next call: a release of all ends
-- those sessions too, and the call that finds them tells of the expiry.
if mine and next(lapsed) then
  lapsed, changed = {}, true
end

-- Only a claim that held the lock until now may linger, so a repeated release prolongs nothing.
if live and linger > 0 then claims.l = math.max(claims.l or 0, now + linger) end

if #over > 0 then
  local lines, again = {}, {}
  for _, name in ipairs(over) do again[name .. ' ' .. owner] = true end
  for who, at in string.gmatch(ended, '([^\t]*)\t(%d+)\n') do
    if tonumber(at) > now and not again[who] then lines[#lines + 1] = who .. '\t' .. at .. '\n' end
  end
  for _, name in ipairs(over) do
    lines[#lines + 1] = string.format('%s %s\t%.0f\n', name, owner, now + ENDED_MEMORY)
  end
  ended = table.concat(lines, '', math.max(1, #lines - MAX_ENDED + 1))
end

if live then
  save(math.max(0, ends() - now) + retention)
elseif changed or #over > 0 then
  save(math.max(1, redis.call('PTTL', KEYS[1]) * 1000))
end

-- Also where other claims remain: the end may have come nearer.
if was_held and mine and (live or not held()) then announce() end
if was_held and not held() then return reply('released') end
if not live then return reply('none') end
for claim in pairs(claims) do
  if claim ~= 'l' then return reply('kept') end
end
return reply('lingering')
