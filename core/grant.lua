-- grant: the claim of a caller that may have the lock.
if granted then
  if duration < 1 then error('editlock: no timeout') end
  if held and mine then
    outcome = 'renewed'
  else
    outcome, announce = held and 'taken' or 'acquired', true
    if held or unnamed > 0 or next(claims) then previous = holder end
    unnamed, linger, claims, start = 0, 0, {}, now
    -- A fence stays with its user as long as nobody else held the lock in between.
    if not mine then fence, holder = math.max(now, fence + 1), owner end
  end
  holder_name, changed, lapsed = name, true, false
  if session == '' then
    unnamed = now + duration
  else
    if (claims[session] or 0) <= now then
      -- At most so many sessions: the one that ends first makes room.
      local count, first = 0, nil
      for other, at in pairs(claims) do
        if at > now then
          count = count + 1
          if not first or at < claims[first] or (at == claims[first] and other < first) then first = other end
        end
      end
      if count >= MAX_SESSIONS then claims[first] = nil end
    end
    claims[session] = now + duration
  end
end
