-- release: end one session, or without one all of the caller's hold; the duration is the linger (0: none).
mine = mine and (not match or fence == match)
local live = false -- whether a claim was ended that still held the lock
local over = {}    -- sessions that this ends

if session ~= '' then
  -- Also where nothing was held: a POST that this release overtook must find its session ended.
  over[1] = session
  if mine and (claims[session] or 0) > now then live, claims[session] = true, nil end
elseif mine then
  if duration == 0 and linger > now then linger, changed = 0, true end
  if unnamed > now then live, changed, unnamed = true, true, 0 end
  for claimant, at in pairs(claims) do
    over[#over + 1] = claimant
    if at > now then live, claims[claimant] = true, nil end
  end
end
-- What has lapsed of another's hold stays on record until that user's next call: a release of all ends
-- those sessions too, and the call that finds them tells of the expiry.
if mine then
  lapsed = false
  changed = changed or unnamed > 0 and unnamed <= now
end

-- Only a claim that held the lock until now may linger, so a repeated release prolongs nothing.
if live and duration > 0 then linger = math.max(linger, now + duration) end

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

if changed and not live then life = math.max(1, redis.call('PTTL', KEYS[1])) end

local claim = unnamed > now -- whether one is left, but for a linger
for _, at in pairs(claims) do claim = claim or at > now end
local free = not claim and linger <= now
announce = held and mine and (live or free)
if held and free then
  outcome = 'released'
elseif not live then
  outcome = 'none'
elseif claim then
  outcome = 'kept'
else
  outcome = 'lingering'
end
