-- acquire: acquires or renews; under a fence only a hold that is still the caller's own.
if held and not mine then return unchanged('locked') end
if named_fence > 0 then
  if not record.user then return unchanged('forgotten') end
  if not mine or record.fence ~= named_fence then return unchanged('moved') end
end
if session_ended then return unchanged('ended') end

