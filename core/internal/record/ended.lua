
-- end_sessions remembers sessions of a user as ended, the oldest first, and forgets those whose time is over. It reads
-- only the last MAX_ENDED: these scripts write no more.
local function end_sessions(user, names)
  table.sort(names) -- pairs, from which they come, has no order
  local again, entries = {}, {}
  for _, name in ipairs(names) do again[name] = true end
  for index = math.max(1, #(ended or {}) - MAX_ENDED + 1), #(ended or {}) do
    local entry = ended[index]
    if entry['until'] > now and not (entry.user == user and again[entry.session]) then entries[#entries + 1] = entry end
  end
  for _, name in ipairs(names) do
    local entry = { user = user, session = name }
    entry['until'] = now + ENDED_MEMORY
    entries[#entries + 1] = entry
  end
  while #entries > MAX_ENDED do forget_one(entries) end
  ended = entries
end

-- end_all_sessions ends every session of the hold.
local function end_all_sessions()
  local names = {}
  for name in pairs(leases) do
    if name ~= '' and #names < MAX_ENDED then names[#names + 1] = name end
  end
  end_sessions(record.user, names)
end
