-- takeover: take the lock from another user, if its fence is the one that the caller saw.
if not match then error('editlock: no fence') end
if held and not mine and fence ~= match then
  outcome = 'conflict'
elseif has_ended then
  outcome = 'ended'
else
  granted = true
end
