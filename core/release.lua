-- release: end one session, or without one all of the caller's hold; the duration is the linger (0: none).
mine = mine and (not match or fence == match)
local live = false -- whether a claim was ended that still held the lock
local over = {}    -- sessions that this ends

if session ~= '' then
  -- Also where nothing was held: a POST that this release overtook must find its session ended.
  over[1] = session
  if mine and claims['c' .. session] then
    live = true
    claims['c' .. session] = nil
  end
elseif mine then
  if duration == 0 and claims.l then
    claims.l, changed = nil, true
  end
  for claim in pairs(claims) do
    if claim ~= 'l' then
      live, changed, claims[claim] = true, true, nil
      if claim ~= 'u' then over[#over + 1] = string.sub(claim, 2) end
    end
  end
  for claim in pairs(lapsed) do
    if claim ~= 'l' and claim ~= 'u' then over[#over + 1] = string.sub(claim, 2) end
  end
end
-- What has lapsed of another's hold stays on record until that user's next call: a release of all ends
-- those sessions too, and the call that finds them tells of the expiry.
if mine and next(lapsed) then
  lapsed, changed = {}, true
end

-- Only a claim that held the lock until now may linger, so a repeated release prolongs nothing.
if live and duration > 0 then claims.l = math.max(claims.l or 0, now + duration) end

if over[1] then
  changed = true
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

if changed and not live then life = math.max(1, redis.call('PTTL', KEYS[1]) * 1000) end

local free = next(claims) == nil
announce = held and mine and (live or free)
if held and free then
  outcome = 'released'
elseif not live then
  outcome = 'none'
elseif next(claims) == 'l' and not next(claims, 'l') then
  outcome = 'lingering'
else
  outcome = 'kept'
end
