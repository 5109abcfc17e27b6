-- takeover: takes the lock from who has it, if its fence is the one that the caller saw.
if locked and record.fence ~= named_fence then return unchanged('conflict') end
if session_ended then return unchanged('ended') end

