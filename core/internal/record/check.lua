-- check: whether the caller holds the lock, where that may need a write. check.go decides the same without a
-- script where nothing is to be written: the two must stay equal.
local renew = string.find(ARGV[9], 'renew', 1, true)
local acquire = string.find(ARGV[9], 'acquire', 1, true)

local holds = held and mine
if locked then return unchanged('locked') end
if not holds and not acquire then return unchanged('free') end
if named_fence > 0 then
  if not record.user then return unchanged('forgotten') end
  if not (mine or heir) or record.fence ~= named_fence then return unchanged('moved') end
end
if not holds and session_ended then return unchanged('free') end -- an ended session acquires nothing
if holds and not renew then return unchanged('held') end

if holds then
  -- A check of a held lock makes no lease. It renews the session's own, else the one that ends last (of several a named
  -- one before the unnamed, and the first by name), and none if only a linger is left.
  local chosen
  if session ~= '' and (leases[session] or 0) > now then
    chosen = session
  else
    for name, lease_end in pairs(leases) do
      local best = chosen and leases[chosen] or now
      if lease_end > best or (chosen and lease_end == best and name ~= '' and (chosen == '' or name < chosen)) then chosen = name end
    end
  end
  -- At the latest when a third of the ttl has gone.
  if not chosen or (leases[chosen] - now) * 3 > duration * 2 then return unchanged('held') end

  for name, lease_end in pairs(leases) do
    if lease_end <= now then leases[name] = nil end
  end
  leases[chosen] = now + duration
  outcome = 'renewed'
end

