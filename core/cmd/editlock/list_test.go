package main

import (
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

func TestListShowsLocksAndMalformedRecords(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker, url := newLocker(t, server), server.URL(0)
	call(t, "list", "-url", url).expect(t, done, "No lock is held.")
	acquire(t, locker.Mutex("draft-7", time.Minute, ann).WithSession("tab"))
	acquire(t, locker.Mutex("draft-8", time.Hour, bob))
	acquire(t, locker.Mutex("a*", time.Hour, core.User{ID: core.ID("ann")}))
	r := call(t, "list", "-url", url)
	r.expect(t, done, "UID USER HELD FOR SESSIONS ENDS IN a* ann ~ 0 ~ draft", "draft-7 Ann (1) ~s 1 ~s draft-8 Bob (\"1\") ~s 0 ~", "3 locks held.")
	if strings.Contains(r.out, "TENANT") || r.err != "" {
		t.Errorf("%s%s", r.out, r.err)
	}

	acquire(t, locker.WithTenant("acme").Mutex("draft-7", time.Minute, ann))
	set(t, server, "bad", "hello")
	call(t, "list", "-url", url).expect(t, done, "UID TENANT USER", "draft-7 acme Ann (1)", "bad ! malformed", "4 locks held. 1 record malformed")
	call(t, "list", "-url", url, "-tenant", "acme").expect(t, done, "draft-7 acme Ann (1)", "1 lock held.")
	call(t, "list", "-url", url, "-prefix", "draft-8").expect(t, done, "draft-8", "1 lock held.")
	call(t, "list", "-url", url, "-prefix", "a*").expect(t, done, "a* ann", "1 lock held.")
}

func TestListAsJSON(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker := newLocker(t, server)
	lock := acquire(t, locker.WithTenant("acme").Mutex("a", time.Minute, ann).WithSession("tab"))
	acquire(t, locker.Mutex("b", time.Minute, bob))
	set(t, server, "bad", []any{"x"})
	r := call(t, "list", "-url", server.URL(0), "--json")
	r.expect(t, done)
	got := r.lines(t)
	if len(got) != 3 {
		t.Fatalf("%v", got)
	}
	b, bad, a := got[0], got[1], got[2]
	if a["uid"] != "a" || a["tenant"] != "acme" || a["user_id"] != 1.0 || a["user_name"] != "Ann" || a["locked"] != true ||
		a["fence"] != float64(lock.Fence) || a["sessions"] != 1.0 || a["expires_in_ms"].(float64) < 50_000 {
		t.Errorf("%v", a)
	}
	if b["uid"] != "b" || b["user_id"] != "1" || b["tenant"] != nil {
		t.Errorf("%v", b)
	}
	if bad["uid"] != "bad" || bad["malformed"] != true || bad["locked"] != false || bad["user_id"] != nil {
		t.Errorf("%v", bad)
	}
}

// call checks that no line is too wide, and that nothing is printed that a screen would obey.
func TestListOfLongAndHostileNames(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker := newLocker(t, server)
	hostile := core.User{ID: core.ID("\x1b[2J\u202e" + strings.Repeat("w", 200)), Name: "\x1b]0;x\a" + strings.Repeat("日", 80)}
	acquire(t, locker.Mutex(strings.Repeat("x", 255), time.Minute, hostile))
	acquire(t, locker.WithTenant(strings.Repeat("日本", 40)).Mutex(strings.Repeat("é", 120)+"\u202e", 30*24*time.Hour, hostile))
	r := call(t, "list", "-url", server.URL(0))
	r.expect(t, done, "2 locks held.", "~d~h")
	if n := strings.Count(r.out, "\n"); n != 5 || !strings.Contains(r.out, "x…") {
		t.Errorf("%d lines:\n%s", n, r.out)
	}
	call(t, "show", "-url", server.URL(0), strings.Repeat("x", 255)).expect(t, done)
	call(t, "show", "-url", server.URL(0), "-tenant", strings.Repeat("日本", 40), strings.Repeat("é", 120)+"\u202e").expect(t, done)
	call(t, "break", "-url", server.URL(0), strings.Repeat("x", 255), "-yes", "-by", strings.Repeat("y", 200)).expect(t, done)
}

func TestListSaysWhatItMayNotSee(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := withACL(t, server, "~editlock:*", "+@all", "-scan")
	call(t, "list", "-url", url).expect(t, failed, "Redis refuses: NOPERM", "scan")
}

func TestListOfAClusterWithoutOneMaster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartMasters(t, 3)
	locker, err := core.New(cluster.Client(t), core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	for _, uid := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		acquire(t, locker.Mutex(uid, time.Minute, ann))
	}
	for _, node := range cluster.Nodes {
		if err := node.Client(t).ConfigSet(t.Context(), "cluster-require-full-coverage", "no").Err(); err != nil {
			t.Fatal(err)
		}
	}
	url := "redis://" + cluster.Nodes[0].Addr + "?addr=" + cluster.Nodes[1].Addr
	call(t, "list", "-url", url).expect(t, done, "8 locks held.")
	call(t, "show", "-url", url, "a").expect(t, done, "a is held by Ann")
	gone := cluster.MasterOf("editlock:{a}")
	for _, node := range cluster.Nodes {
		if node != gone {
			url = "redis://" + node.Addr + "?addr=" + node.Addr
		}
	}
	gone.Kill()
	call(t, "list", "-url", url).expect(t, failed, "held.", "some locks may be missing")
	call(t, "doctor", "-url", url).expect(t, failed, "Not reached, so nothing is known of them: "+gone.Addr)
}
