package index

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/redistest"
)

const prefix = "editlock:"

func TestAnIndexHasAKeyThatNoRecordHas(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		prefix string
		user   record.User
		want   string
	}{
		{prefix, "1", "editlock:users:{1}"},
		{prefix, `"ann"`, `editlock:users:{"ann"}`},
		{prefix, `"{/%}"`, `editlock:users:{"%7B%2F%25%7D"}`},
		{record.TenantPrefix(prefix, "acme"), "1", "editlock:acme/users:{1}"},
	} {
		got := Key(test.prefix, test.user)
		if got != test.want || record.IsResource(prefix, got) {
			t.Errorf("key %q, want %q; a resource's: %v", got, test.want, record.IsResource(prefix, got))
		}
	}
}

// run carries an operation out.
func run(t *testing.T, client *redis.Client, s record.Script, args []any) string {
	t.Helper()
	reply, err := client.Eval(t.Context(), s.Text, []string{Key(prefix, "1")}, args...).Text()
	if err != nil {
		t.Fatalf("%s: %v", s.Operation, err)
	}
	return reply
}

// members returns what a list has, "hold <uid>" and "claim <uid>", and its entries.
func members(t *testing.T, client *redis.Client) (names []string, entries []Entry) {
	t.Helper()
	entries, err := ParseList(run(t, client, List, []any{List.Operation}))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.member)
	}
	slices.Sort(names)
	return names, entries
}

func note(t *testing.T, client *redis.Client, uid string, ttl time.Duration) {
	t.Helper()
	run(t, client, Note, AppendNote(nil, uid, ttl))
}

func claim(t *testing.T, client *redis.Client, uid string, most int) (granted bool, entries []Entry) {
	t.Helper()
	granted, entries, err := ParseClaim(run(t, client, Claim, AppendClaim(nil, uid, time.Minute, most)))
	if err != nil {
		t.Fatal(err)
	}
	return granted, entries
}

func TestADropSparesWhatWasNotedSince(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	note(t, client, "a", time.Minute)
	note(t, client, "b", time.Hour)
	note(t, client, "c", time.Hour)
	_, entries := members(t, client)
	note(t, client, "a", time.Minute)
	note(t, client, "b", time.Second) // a shorter ttl: the entry lasts as long as before, and is another one all the same
	run(t, client, Drop, AppendDrop(nil, entries))
	if got, _ := members(t, client); !slices.Equal(got, []string{"hold a", "hold b"}) {
		t.Errorf("left: %q", got)
	}
	_, entries = members(t, client)
	run(t, client, Drop, AppendDrop(nil, entries))
	if n := client.Exists(t.Context(), Key(prefix, "1")).Val(); n != 0 {
		t.Error("an empty index is left")
	}
}

func TestAClaimCountsUntilItsHoldIsNoted(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	for i := range 2 {
		if granted, _ := claim(t, client, fmt.Sprint("d", i), 2); !granted {
			t.Fatalf("place %d was refused", i)
		}
	}
	granted, entries := claim(t, client, "d2", 2)
	if granted || len(entries) != 2 || !entries[0].Claimed || !entries[1].Claimed {
		t.Errorf("a third place: %v, %+v", granted, entries)
	}
	if granted, _ := claim(t, client, "d1", 2); !granted {
		t.Error("a place that the user has was refused")
	}
	note(t, client, "d1", time.Minute)
	if got, _ := members(t, client); !slices.Equal(got, []string{"claim d0", "hold d1"}) {
		t.Errorf("noted: %q", got)
	}
	if granted, _ := claim(t, client, "d1", 2); !granted { // one uid, and two members
		t.Error("a place that the user has was refused")
	}
	if granted, _ := claim(t, client, "d2", 2); granted {
		t.Error("a third place was granted")
	}
}

func TestWhatIsOverIsForgotten(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	past, future := time.Now().Add(-time.Second).UnixMicro(), time.Now().Add(time.Hour).UnixMicro()
	client.ZAdd(t.Context(), Key(prefix, "1"), redis.Z{Score: float64(past), Member: "hold a"}, redis.Z{Score: float64(future), Member: "hold b"})
	if got, _ := members(t, client); !slices.Equal(got, []string{"hold b"}) {
		t.Errorf("listed: %q", got)
	}
}

func TestAListOfSomethingElseIsMalformed(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"", "x", "1 hold d", "listed\n", "listed\n1 hold", "listed\n1 hold ", "listed\n1 other d", "listed\n1 hold d\n", "listed\n1 hold d\nx"} {
		if entries, err := ParseList(reply); err == nil {
			t.Errorf("%q is %+v", reply, entries)
		}
	}
}
