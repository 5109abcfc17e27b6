package main

import (
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

func TestShowSaysWhatIsKept(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker, url := newLocker(t, server), server.URL(0)
	show := func(status int, texts ...string) {
		t.Helper()
		call(t, "show", "-url", url, "d").expect(t, status, texts...)
	}
	show(done, "Nobody holds d, and nothing is remembered of it.", "key editlock:{d}")

	mutex := locker.Mutex("d", time.Minute, ann)
	lock := acquire(t, mutex.WithSession("tab-1"))
	acquire(t, mutex.WithSession("tab-2"))
	acquire(t, mutex)
	show(done, "d is held by Ann (user 1, a number) since 20", "fence "+itoa(int(lock.Fence)), "tab-1: ends at 20", "in ~s",
		"requests without a session: ends at", "remembered until", "for ~d~h", "bytes)")

	release := func(o ...core.ReleaseOptions) {
		t.Helper()
		if err := mutex.WithSession("tab-1").Release(t.Context(), o...); err != nil {
			t.Fatal(err)
		}
	}
	release()
	show(done, "ended session tab-1 of user 1; remembered for ~s")
	for _, m := range []*core.Mutex{mutex, mutex.WithSession("tab-2")} {
		if err := m.Release(t.Context(), core.ReleaseOptions{Linger: 10 * time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	show(done, "d is held by Ann", "linger ends at 20", "until then the holder's next page can come")

	tab := locker.Mutex("d", time.Minute, ann).WithSession("tab-3").WithScope(core.ScopeSession).WithIdle(20 * time.Second)
	acquire(t, tab)
	if _, err := locker.Mutex("d", time.Minute, bob).Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	show(done, "scope session: tab-3", "typed ~s ago", `asked by Bob (user "1"); remembered for ~s`)
	acquire(t, mutex)
	show(done, "scope session: none, since sessions in scope user share the hold")

	other := acquire(t, locker.WithTenant("acme").Mutex("d", time.Minute, bob))
	if err := locker.WithTenant("acme").Break(t.Context(), "d", other.Fence, core.User{ID: core.ID(9), Name: "Root"}); err != nil {
		t.Fatal(err)
	}
	call(t, "show", "-url", url, "-tenant", "acme", "d").expect(t, done, "Nobody holds d of tenant acme: the last hold was broken.",
		"broken the hold under fence "+itoa(int(other.Fence))+", by Root (user 9)")
}

func TestShowNamesTheLastHolder(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker := newLocker(t, server)
	for uid, user := range map[string]core.User{"a": bob, "b": {ID: core.ID("#ann")}, "c": {ID: core.ID(9007199254740992)}} {
		m := locker.Mutex(uid, time.Minute, user)
		acquire(t, m)
		if err := m.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	call(t, "show", "-url", server.URL(0), "a").expect(t, done, `Nobody holds a. The last holder was Bob (user "1", a string).`)
	call(t, "show", "-url", server.URL(0), "b").expect(t, done, `Nobody holds b. The last holder was user #ann (a string).`)
	call(t, "show", "-url", server.URL(0), "c").expect(t, done, `Nobody holds c. The last holder was user 9007199254740992 (a number).`)
}

func TestShowSaysWhatIsMalformedAndHowToRemoveIt(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := "redis://:" + "@" + server.Addr + "/0"
	for want, value := range map[string]any{
		"a value of another type: list":                      []any{"x"},
		"it is not the JSON of an object":                    "hello",
		"it has 20000 bytes, and a record has at most 16384": "{" + strings.Repeat(" ", 19999),
		`its field "fence" is missing`:                       `{"user":1}`,
		`its field "user" is missing`:                        `{"leases":{"a":5}}`,
		`its field "user" has a value`:                       `{"user":"","fence":5}`,
		`its field "fence" has a value`:                      `{"user":1,"fence":0}`,
		`its field "leases" has a value`:                     `{"user":1,"fence":5,"leases":{"a":-1}}`,
		`its field "linger" has a value`:                     `{"user":1,"fence":5,"linger":1.5}`,
		`its field "session" has a value`:                    `{"user":1,"fence":5,"session":7}`,
		`its field "ended" has a value`:                      `{"user":1,"fence":5,"ended":[{"user":1}]}`,
		`its field "since" has a value`:                      `{"user":1,"fence":5,"since":"x"}`,
		`its field "name" has a value`:                       `{"user":1,"fence":5,"name":1}`,
	} {
		server.Client(t).Del(t.Context(), "editlock:{it's}")
		set(t, server, "it's", value)
		host, port, _ := strings.Cut(server.Addr, ":")
		command := "redis-cli -h " + host + " -p " + port + ` --askpass DEL 'editlock:{it'\''s}'`
		r := call(t, "show", "-url", url, "it's")
		r.expect(t, warned, "The record of it's is malformed:", want, command, "It is safe when no other program needs the value", "the key has no end")
		object := call(t, "show", "-url", url, "it's", "-json").lines(t)[0]
		if object["malformed"] != true || object["locked"] != false || object["remove"] != command || object["wrong"] == "" || object["fence"] != nil {
			t.Errorf("%v", object)
		}
		call(t, "break", "-url", url, "-yes", "it's").expect(t, warned, "the record is malformed", "nothing was broken")
	}
}

func TestShowAsJSON(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	locker := newLocker(t, server)
	lock := acquire(t, locker.Mutex("d", time.Minute, ann).WithSession("tab-1"))
	acquire(t, locker.Mutex("d", time.Minute, ann).WithSession("tab-2"))
	if err := locker.Mutex("d", time.Minute, ann).WithSession("tab-1").Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	objects := call(t, "show", "-json", "-url", server.URL(0), "d").lines(t)
	if len(objects) != 1 {
		t.Fatal(objects)
	}
	o := objects[0]
	lease := o["leases"].([]any)[0].(map[string]any)
	ended := o["ended"].([]any)[0].(map[string]any)
	now := o["now"].(float64)
	if o["uid"] != "d" || o["key"] != "editlock:{d}" || o["user_id"] != 1.0 || o["fence"] != float64(lock.Fence) || o["locked"] != true ||
		lease["session"] != "tab-2" || lease["end"].(float64) <= now || ended["session"] != "tab-1" || ended["user_id"] != 1.0 ||
		ended["until"].(float64) <= now || o["since"].(float64) > now || o["remembered_ms"].(float64) < 86_400_000 || o["bytes"].(float64) < 50 {
		t.Errorf("%v", o)
	}
}

// With the least ACL of README.md, all but list works.
func TestShowAndBreakNeedNoMoreRightsThanTheEngine(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rules := []any{"resetkeys", "resetchannels", "-@all", "+select", "+info"}
	for rule := range strings.FieldsSeq("~editlock:* &editlock:* +evalsha +eval +getrange +getex +set +pttl +time +publish +subscribe +unsubscribe +ping") {
		rules = append(rules, rule)
	}
	url := withACL(t, server, rules...)
	acquire(t, newLocker(t, server).Mutex("d", time.Minute, ann))
	set(t, server, "bad", []any{"x"})
	call(t, "show", "-url", url, "d").expect(t, done, "d is held by Ann")
	call(t, "show", "-url", url, "bad").expect(t, warned, "a value of another type: other type", "--user ops --askpass DEL")
	call(t, "break", "-url", url, "-yes", "d").expect(t, done, "The hold is broken")
	call(t, "list", "-url", url).expect(t, failed, "NOPERM")
}

func TestShowAsksNoReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := replicaOf(t, master)
	call(t, "show", "-url", replica.URL(0), "d").expect(t, failed, "Redis refuses: READONLY", "editlock doctor says more")
}

// The command goes to the same Redis, and has no password in it.
func TestRedisCLIGoesToTheSameRedis(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"redis://127.0.0.1:6379":                                     "redis-cli -h 127.0.0.1 -p 6379",
		"redis://127.0.0.1:6379/5":                                   "redis-cli -h 127.0.0.1 -p 6379 -n 5",
		"redis://[::1]:6380":                                         "redis-cli -h ::1 -p 6380",
		"rediss://ops:" + secret + "@redis.example:6379":             "redis-cli -h redis.example -p 6379 --tls --user ops --askpass",
		"redis://:" + secret + "@127.0.0.1:1?addr=127.0.0.1:2":       "redis-cli -c -h 127.0.0.1 -p 1 --askpass",
		"redis://:" + secret + "@127.0.0.1:26379/2?master_name=main": "redis-cli -h MASTER -n 2 --askpass",
		"unix:///run/redis.sock?db=3":                                "redis-cli -s /run/redis.sock -n 3",
	} {
		c := &console{out: &printer{w: t.Output()}, err: &printer{w: t.Output()}}
		f := c.newFlags("show", "UID", "", "")
		if _, _, ok := f.parse([]string{"-url", url, "d"}, 1); !ok {
			t.Fatal(url)
		}
		s, err := f.connect()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.redisCLI(); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
		s.close()
	}
}

func TestShowWhereSentinelsKnowTheMaster(t *testing.T) {
	t.Parallel()
	servers := redistest.StartSentinel(t)
	set(t, servers.Master(), "d", "hello")
	call(t, "show", "-url", servers.URL(0), "d").expect(t, warned, "redis-cli -h MASTER DEL 'editlock:{d}'", "SENTINEL get-master-addr-by-name")
	call(t, "list", "-url", servers.URL(0)).expect(t, done, "d ! malformed")
	call(t, "doctor", "-url", servers.URL(0)).expect(t, warned, "works, with")
}
