-- check: the guard's question, where it may have to write. Mode: 1 renews when a third of the timeout has
-- gone, 2 acquires if free, 3 does both. core/read.go answers the same without a script where it can.
local renew, acquire = ARGV[8] == '1' or ARGV[8] == '3', ARGV[8] == '2' or ARGV[8] == '3'

if held and not mine then
  outcome = 'locked'
elseif not held and not acquire then
  outcome = 'free'
elseif match and fence == '0' then
  outcome = 'forgotten'
elseif match and (not mine or fence ~= match) then
  outcome = 'moved'
elseif held then
  outcome = 'held'
  -- A check makes no claim: it moves the end of one that is there, but not of a linger.
  local claim = 'c' .. session
  if renew and not claims[claim] then
    claim = nil
    for other, at in pairs(claims) do
      if other ~= 'l' and (not claim or at > claims[claim]) then claim = other end
    end
  end
  if renew and claim and (claims[claim] - now) * 3 <= duration * 2 then
    outcome, changed, lapsed = 'renewed', true, {}
    claims[claim] = now + duration
  end
elseif has_ended then
  outcome = 'free'
else
  granted = true
end
