-- grant: the claim of a caller that may have the lock.
if granted then
  if duration < 1 then error('editlock: no timeout') end
  if held and mine then
    outcome = 'renewed'
  else
    outcome, announce = held and 'taken' or 'acquired', true
    lapsed.l = nil
    if held or next(lapsed) then previous = holder end
    claims = {}
    start = string.format('%.0f', now)
    -- A fence stays with its user as long as nobody else held the lock in between.
    if not mine then
      fence = fence + 1 > now and string.format('%.0f', fence + 1) or start
      holder = owner
    end
  end
  holder_name, lapsed, changed = name, {}, true
  local claim = session == '' and 'u' or 'c' .. session
  if session ~= '' and not claims[claim] and next(claims) then
    -- At most so many sessions: the one that ends first makes room.
    local n, first = 0, nil
    for other, at in pairs(claims) do
      if string.byte(other) == 99 then -- c
        n = n + 1
        if not first or at < claims[first] or (at == claims[first] and other < first) then first = other end
      end
    end
    if n >= MAX_SESSIONS then claims[first] = nil end
  end
  claims[claim] = now + duration
end
