package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core/redistest"
)

// replicaOf starts a replica, and returns when it is in step.
func replicaOf(t *testing.T, master *redistest.Server) *redistest.Server {
	t.Helper()
	replica := redistest.Start(t, "--replicaof "+strings.Replace(master.Addr, ":", " ", 1))
	client := replica.Client(t)
	for end := time.Now().Add(30 * time.Second); !strings.Contains(client.Info(t.Context(), "replication").Val(), "master_link_status:up"); {
		if time.Now().After(end) {
			t.Fatal("the replica does not come into step")
		}
		time.Sleep(10 * time.Millisecond)
	}
	return replica
}

func TestDoctorFindsTheTrouble(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		url    func(t *testing.T) string
		status int
		texts  []string
	}{
		"none": {func(t *testing.T) string { return redistest.Start(t, "--appendonly yes").URL(3) }, done,
			[]string{"/3 is fit for locks.", "note version"}},
		"an eviction policy": {func(t *testing.T) string {
			return redistest.Start(t, "--appendonly yes", "--maxmemory 100mb", "--maxmemory-policy allkeys-lru").URL(0)
		}, warned, []string{"works, with 1 warning.", "weak maxmemory-policy", "-> set maxmemory-policy noeviction"}},
		"no persistence": {func(t *testing.T) string { return redistest.Start(t).URL(0) }, warned,
			[]string{"weak persistence", "-> set appendonly yes"}},
		"an ACL without PUBLISH": {func(t *testing.T) string {
			return withACL(t, redistest.Start(t, "--appendonly yes"), "~*", "&*", "+@all", "-publish")
		}, warned, []string{"late publish", "the ACL refuses PUBLISH", "-> add +publish to the user's rules"}},
		"an ACL without what an index needs": {func(t *testing.T) string {
			return withACL(t, redistest.Start(t, "--appendonly yes"), "~*", "&*", "+@all", "-zadd")
		}, warned, []string{"weak index", "LocksOf and ReleaseUser miss locks", "-> allow its commands"}},
		"an ACL without EVALSHA": {func(t *testing.T) string {
			return withACL(t, redistest.Start(t, "--appendonly yes"), "~*", "&*", "+@all", "-evalsha")
		}, failed, []string{"cannot keep locks like this.", "unfit evalsha", "-> add +evalsha"}},
		"a replica": {func(t *testing.T) string { return replicaOf(t, redistest.Start(t)).URL(0) }, failed,
			[]string{"cannot keep locks like this.", "unfit replica", "-> lead it to the master 127.0.0.1:"}},
		"a Redis that is stopped": {func(t *testing.T) string {
			server := redistest.Start(t)
			server.Pause()
			return server.URL(0)
		}, failed, []string{"could not be reached, or refuses to answer, so nothing is known of it.", "unavailable answer", "Redis does not answer in time"}},
		"a Redis that is gone": {func(t *testing.T) string { return "redis://:" + secret + "@127.0.0.1:1" }, failed,
			[]string{"could not be reached", "nothing listens there"}},
		"a wrong password": {func(t *testing.T) string {
			return fmt.Sprintf("redis://:%s@%s", secret, redistest.Start(t, "--requirepass x").Addr)
		}, failed,
			[]string{"cannot keep locks like this.", "unfit answer", "WRONGPASS", "-> correct the user, the password or the database"}},
		"a cluster that is gone": {func(*testing.T) string { return "redis://127.0.0.1:1?addr=127.0.0.1:2" }, failed,
			[]string{"Redis at 127.0.0.1:1, 127.0.0.1:2 could not be reached", "unavailable masters"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := test.url(t)
			call(t, "doctor", "-index", "-url", url).expect(t, test.status, test.texts...)
			r := call(t, "doctor", "-index", "-json", "-url", url)
			r.expect(t, test.status)
			for _, finding := range r.lines(t) {
				if finding["check"] == "" || finding["severity"] == "" || finding["means"] == "" {
					t.Errorf("%v", finding)
				}
			}
		})
	}
}
