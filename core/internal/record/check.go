package record

import (
	"slices"
	"time"
)

// A look without a script. A guard stands on every save, and most of its answers change nothing; a plain read
// costs Redis a tenth of what a script does. The caller reads the record and then Redis's TIME, on one
// connection, and asks here. What is not decided here is left to the script: check.lua, or status.lua.
//
//   - A lease that ends after TIME had not ended when the record was read: "held" is true of that moment.
//   - A lock that ended shortly before TIME may have been renewed in between, and never have been free. No
//     answer is older than the call's time limit, so one that ended less than that before TIME is left to the
//     script.
//   - In scope session it is the same with a lease that ended shortly before TIME, where the answer follows from that.
//   - A renewal that is due is left to the script.

// IsUncertain reports whether the lock ended so shortly before now that it may have been renewed since the
// record was read.
func (r *Record) IsUncertain(now int64, timeout time.Duration) bool {
	return isJustOver(r.expires(), now, timeout)
}

// isJustOver reports whether something ended so shortly before now.
func isJustOver(end, now int64, timeout time.Duration) bool {
	return end > 0 && end <= now && now-end <= ceil(timeout)
}

// Check decides as check.lua does; false leaves it to the script.
func (r *Record) Check(now int64, q Request, timeout time.Duration) (Outcome, bool) {
	switch {
	case q.AcquireIfFree:
		return "", false
	case r.expires() <= now:
		return Free, !r.IsUncertain(now, timeout)
	case r.User != q.User:
		return Locked, true
	case q.BySession && r.hasLeaseBeside(q.Session, now):
		return Locked, true
	case q.BySession && r.Session != q.Session && r.hasLeaseJustOver(now, timeout):
		return "", false
	case q.BySession && r.holdingSession(now) != q.Session:
		return Free, true // a linger waits for one of the user's sessions to acquire
	case q.Fence > 0 && r.Fence != q.Fence:
		return Moved, true
	case q.Renew && r.renewalIsDue(now, q):
		return "", false
	default:
		return Held, true
	}
}

// hasLeaseJustOver reports whether a lease ended so shortly before now that it may have been renewed since the record was
// read.
func (r *Record) hasLeaseJustOver(now int64, timeout time.Duration) bool {
	return slices.ContainsFunc(r.Leases, func(l Lease) bool { return isJustOver(l.End, now, timeout) })
}

// renewalIsDue reports whether a third of the ttl has gone of the lease that a check would renew: the
// session's own, else the one that ends last.
func (r *Record) renewalIsDue(now int64, q Request) bool {
	var own, last int64
	for _, lease := range r.Leases {
		last = max(last, lease.End)
		if lease.Session == q.Session && q.Session != "" {
			own = lease.End
		}
	}
	end := last
	if own > now {
		end = own
	}
	return end > now && (end-now)*3 <= ceil(q.Duration)*2
}
