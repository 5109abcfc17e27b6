package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/editlock/editlock/core"
)

// statusJSON is a status as the commands print it, with the names that it has over HTTP.
type statusJSON struct {
	UID         string      `json:"uid"`
	Tenant      string      `json:"tenant,omitempty"`
	Locked      bool        `json:"locked"`
	Malformed   bool        `json:"malformed,omitempty"`
	UserID      core.UserID `json:"user_id"`
	UserName    string      `json:"user_name,omitempty"`
	Fence       int64       `json:"fence,omitempty"`
	Sessions    int         `json:"sessions"`
	HeldMS      int64       `json:"held_ms"`
	ExpiresInMS int64       `json:"expires_in_ms"`
}

func newStatusJSON(s core.Status) statusJSON {
	return statusJSON{
		UID: s.UID, Tenant: s.Tenant, Locked: s.Locked, Malformed: s.Malformed, UserID: s.User.ID, UserName: s.User.Name,
		Fence: s.Fence, Sessions: s.Sessions, HeldMS: s.HeldFor.Milliseconds(), ExpiresInMS: s.ExpiresIn.Milliseconds(),
	}
}

func list(ctx context.Context, c *console, args []string) int {
	f := c.newFlags("list", "", "It lists the locks that are held, and the records that are malformed, sorted by uid. What is acquired or "+
		"released meanwhile may be missing or there. It goes through all keys of the database, a few at a time, so Redis stays free for others.",
		"editlock list -prefix draft-")
	f.withTenant("the\ndefault is all tenants, and what has none")
	f.withJSON("print one JSON object a line")
	prefix := f.String("prefix", "", "list only uids that begin with this `text`")
	if _, status, ok := f.parse(args, 0); !ok {
		return status
	}
	s, err := f.connect()
	if err != nil {
		return c.fail(err)
	}
	defer s.close()
	locks, err := s.list(ctx, core.ListOptions{UIDPrefix: *prefix, AllTenants: f.tenancy == ""})
	if err != nil && len(locks) == 0 {
		return c.fail(err)
	}
	if f.json {
		for _, lock := range locks {
			if status := c.json(newStatusJSON(lock)); status != done {
				return status
			}
		}
	} else {
		c.printLocks(locks)
	}
	if err != nil {
		c.warn("some locks may be missing: %s", explain(err))
		return failed
	}
	return done
}

// list returns the locks, sorted and each once, and the first error.
func (s *session) list(ctx context.Context, options core.ListOptions) (locks []core.Status, err error) {
	for status, failed := range s.locker.List(ctx, options) {
		if failed != nil {
			err = cmp.Or(err, failed)
			continue
		}
		locks = append(locks, status)
	}
	slices.SortFunc(locks, func(a, b core.Status) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.UID, b.UID))
	})
	return slices.CompactFunc(locks, func(a, b core.Status) bool { return a.Tenant == b.Tenant && a.UID == b.UID }), err
}

func (c *console) printLocks(locks []core.Status) {
	if len(locks) == 0 {
		c.say("No lock is held.")
		return
	}
	tenants := slices.ContainsFunc(locks, func(s core.Status) bool { return s.Tenant != "" })
	rows := [][]string{{"UID", "TENANT", "USER", "HELD FOR", "SESSIONS", "ENDS IN"}}
	malformed := 0
	for _, lock := range locks {
		row := []string{lock.UID, lock.Tenant, "! malformed", "", "", ""}
		if lock.Malformed {
			malformed++
		} else {
			row[2] = holder(lock.User)
			row[3], row[4], row[5] = brief(lock.HeldFor), itoa(lock.Sessions), brief(lock.ExpiresIn)
		}
		rows = append(rows, row)
	}
	elastic := []int{0, 1, 2}
	if !tenants {
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 1, 2)
		}
		elastic = []int{0, 1}
	}
	c.printTable(rows, elastic...)
	held := len(locks) - malformed
	c.out.printf("\n")
	c.say("%s held.", plural(held, "lock"))
	if malformed > 0 {
		c.say("%s malformed: nobody can lock such a uid. editlock show UID says what to do.", plural(malformed, "record"))
	}
}

// holder is a user in a table: Ann (1).
func holder(u core.User) string {
	if u.Name == "" {
		return idText(u.ID)
	}
	return u.Name + " (" + idText(u.ID) + ")"
}
