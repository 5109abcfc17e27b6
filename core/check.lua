-- check: the guard's question, where it may have to write. Mode: 1 renews when a third of the timeout has
-- gone, 2 acquires if free, 3 does both. core/read.go answers the same without a script where it can.
local renew, acquire = ARGV[8] == '1' or ARGV[8] == '3', ARGV[8] == '2' or ARGV[8] == '3'

if held and not mine then
  outcome = 'locked'
elseif not held and not acquire then
  outcome = 'free'
elseif match and fence == 0 then
  outcome = 'forgotten'
elseif match and (not mine or fence ~= match) then
  outcome = 'moved'
elseif held then
  outcome = 'held'
  -- A check makes no claim: it moves the end of one that is there, but not of a linger. The session's own,
  -- else the one that ends last; of several a session before the unnamed one, and the first by name.
  local claimant, at = session, claims[session] or 0
  if renew and at <= now then
    claimant, at = '', unnamed
    for other, other_at in pairs(claims) do
      if other_at > at or other_at == at and (claimant == '' or other < claimant) then claimant, at = other, other_at end
    end
  end
  if renew and at > now and (at - now) * 3 <= duration * 2 then
    outcome, changed, lapsed = 'renewed', true, false
    if claimant == '' then unnamed = now + duration else claims[claimant] = now + duration end
  end
elseif has_ended then
  outcome = 'free'
else
  granted = true
end
