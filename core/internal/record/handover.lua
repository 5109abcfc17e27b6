-- handover: gives the caller's hold to the user who asks for it, whose page has the duration to come and acquire it.
if locked then return unchanged('locked') end
if not record.user then return unchanged('forgotten') end
if not (mine or heir) or record.fence ~= named_fence then return unchanged('moved') end
if not ask then return unchanged('unasked') end
if session_ended then return unchanged('ended') end

end_all_sessions()
outcome, announced, before = 'handed over', true, text
record.fence, record.user, record.name = math.max(now, record.fence + 1), ask.user, ask.name
if record.fence >= MAX_NUMBER then return redis.error_reply(MALFORMED) end -- no fence is left
record.since, record.session, leases, linger, ask = now, nil, {}, now + duration, nil

