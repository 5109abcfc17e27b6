-- grant: gives the caller's session its lease, a new hold or a renewal, unless the operation has decided already.
if not outcome then
  outcome = 'renewed'
  if not (held and mine) then
    outcome, announced = locked and 'taken' or 'acquired', true
    if locked or (not held and next(leases)) then before = text end -- a hold whose linger has ended was released, and did not expire
    if not (mine or heir) then
      record.fence, record.user, record.session = math.max(now, (record.fence or 0) + 1), caller, nil
    end
    if record.fence >= MAX_NUMBER then return redis.error_reply(MALFORMED) end -- no fence is left for a new holder
    record.since, linger, leases, typed = now, nil, {}, nil
  end
  record.name = ARGV[3]
  if by_session then
    record.session = session
  elseif record.session and record.session ~= session then
    record.session = SEVERAL
  end

  -- The holder's call forgets leases that have expired. Of 32 named ones the first to end makes room.
  local named, first = 0, nil
  for name, lease_end in pairs(leases) do
    if lease_end <= now then
      leases[name] = nil
    elseif name ~= '' then
      named = named + 1
      if not first or lease_end < leases[first] or (lease_end == leases[first] and name < first) then first = name end
    end
  end
  if not leases[session] then
    linger = nil -- the page that it was kept for is back
    if session ~= '' and named >= MAX_SESSIONS then leases[first] = nil end
  end
  leases[session] = now + duration
  if idle then
    typed = typed or {}
    typed[session] = math.max(now - idle, 0)
  elseif typed then
    typed[session] = nil
  end
end

