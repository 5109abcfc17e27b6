-- release: ends one session, or without one all of the caller's hold. The duration is the linger, 0 for none.
local own = mine and (named_fence == 0 or record.fence == named_fence)
local dropped, live = false, false -- whether a lease was dropped, and whether one that held the lock was
local over = {}                    -- sessions that this ends

if session ~= '' and (own or not mine) then
  -- Also where the caller held nothing: a POST that this release overtook must find its session ended.
  over[1] = session
end
if own then
  for name, lease_end in pairs(leases) do
    if session == '' or name == session then
      -- The bound keeps forget_one fast on a record that has more leases than these scripts write.
      if session == '' and name ~= '' and #over < MAX_ENDED then over[#over + 1] = name end
      live = live or lease_end > now
      leases[name], dropped = nil, true
    elseif lease_end <= now then
      leases[name], dropped = nil, true
    end
  end
  if session == '' and duration == 0 and linger and linger > now then
    linger, dropped = nil, true
  end
  -- Only a lease that held the lock until now may linger, so a repeated release prolongs nothing.
  if live and duration > 0 then linger = math.max(linger or 0, now + duration) end
end
table.sort(over) -- pairs has no order
if not dropped and not over[1] then return unchanged('none') end

-- Remembers the ended sessions, oldest first, and forgets those whose time is over. It reads only the last MAX_ENDED:
-- these scripts write no more.
local again, entries = {}, {}
for _, name in ipairs(over) do again[name] = true end
for index = math.max(1, #(ended or {}) - MAX_ENDED + 1), #(ended or {}) do
  local entry = ended[index]
  if entry['until'] > now and not (entry.user == caller and again[entry.session]) then entries[#entries + 1] = entry end
end
for _, name in ipairs(over) do
  local entry = { user = caller, session = name }
  entry['until'] = now + ENDED_MEMORY
  entries[#entries + 1] = entry
end
while #entries > MAX_ENDED do forget_one(entries) end
ended = entries

if not live then
  -- A release that ended nothing prolongs no memory. Without a key, the ended session alone says how long.
  keep = text and redis.call('PTTL', KEYS[1]) or 1
  if keep < 0 then keep = nil else keep = math.max(keep, 1) end -- a key without an end gets one
end

local other, free = false, (linger or 0) <= now -- whether another lease holds the lock, or nothing does
for _, lease_end in pairs(leases) do
  if lease_end > now then other, free = true, false end
end
outcome = 'none'
if own and held and free then
  outcome = 'released'
elseif live then
  outcome = other and 'kept' or 'lingering'
end

