-- acquire: acquire or renew; under a fence only a hold that is still the caller's own.
if held and not mine then
  outcome = 'locked'
elseif match and fence == 0 then
  outcome = 'forgotten'
elseif match and (not mine or fence ~= match) then
  outcome = 'moved'
elseif has_ended then
  outcome = 'ended'
else
  granted = true
end
