-- grant makes the claim of a caller that may have the lock, and saves. It gives the outcome and
-- the user whose hold thereby turned out to be over.
local function grant(owner, name, ttl, session, retention)
  local outcome, previous = 'renewed', ''
  if not held_by(owner) then
    outcome = held() and 'taken' or 'acquired'
    lapsed.l = nil
    if held() or next(lapsed) then previous = hold.owner end
    claims = {}
    -- A fence stays with its user as long as nobody else held the lock in between.
    if hold.owner ~= owner then hold.owner, hold.fence = owner, math.max(now, hold.fence + 1) end
    hold.start = now
  end
  hold.name = name
  local claim = session == '' and 'u' or 'c' .. session
  if session ~= '' and not claims[claim] and sessions() >= MAX_SESSIONS then
    local first
    for other, at in pairs(claims) do
      if is_session(other) and (not first or at < claims[first] or (at == claims[first] and other < first)) then
        first = other
      end
    end
    claims[first] = nil
  end
  claims[claim], lapsed = now + ttl, {}
  save(ends() - now + retention)
  if outcome ~= 'renewed' then announce() end
  return outcome, previous
end
