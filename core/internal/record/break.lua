
-- break: ends a hold so that none of its pages can resume: its sessions have ended, and the fence is a new one. Under the
-- fence that the caller saw, it ends the hold of any user. Without one it ends the caller's own, who logs out.
if named_fence > 0 then
  if not held then return unchanged('free') end
  if record.fence ~= named_fence then return unchanged('conflict') end
elseif not (held and mine) then
  return unchanged('none')
end

end_all_sessions()
outcome, before = 'broken', text
record.broken = { fence = record.fence, holder = record.user, user = caller, name = ARGV[3] }
record.fence, record.user, record.name = math.max(now, record.fence + 1), caller, ARGV[3]
if record.fence >= MAX_NUMBER then return redis.error_reply(MALFORMED) end -- no fence is left
record.since, record.session, leases, linger, ask = nil, nil, {}, nil, nil
