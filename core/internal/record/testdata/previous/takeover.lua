-- takeover: takes the lock from another user, if its fence is the one that the caller saw.
if held and not mine and record.fence ~= named_fence then return unchanged('conflict') end
if session_ended then return unchanged('ended') end

