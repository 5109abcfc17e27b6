package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/redistest"
)

// The test of core/RUNBOOK.md: each row of its table is a trouble that is played here, and the command of that row must
// print what the row quotes. A row is found by the first text that it quotes.

// trouble is a row.
type trouble struct {
	people   string
	commands [][]string
	printed  []string
}

// troubles returns the rows of the table but those that are marked as not played.
func troubles(t *testing.T) []trouble {
	t.Helper()
	page, err := os.ReadFile("../../RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| what people report |")
	table, _, _ = strings.Cut(table, "\n\n")
	code, quoted := regexp.MustCompile("`(.+?)`"), regexp.MustCompile(`"(.+?)"`)
	var all []trouble
	for row := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(row), " | ")
		if len(cells) != 4 || strings.HasSuffix(cells[0], "*") {
			continue
		}
		one := trouble{people: strings.TrimPrefix(cells[0], "| ")}
		for _, command := range code.FindAllStringSubmatch(cells[1], -1) {
			one.commands = append(one.commands, strings.Fields(command[1]))
		}
		for _, text := range quoted.FindAllStringSubmatch(cells[2], -1) {
			one.printed = append(one.printed, text[1])
		}
		if len(one.commands) > 0 && len(one.printed) > 0 {
			all = append(all, one)
		}
	}
	return all
}

// well starts a Redis without a trouble.
func well(t *testing.T, directives ...string) *redistest.Server {
	t.Helper()
	return redistest.Start(t, append([]string{"--appendonly yes"}, directives...)...)
}

// troubled start a Redis in each trouble, and return its URL. The key is the first text that the row quotes.
var troubled = map[string]func(t *testing.T) string{
	"could not be reached": func(t *testing.T) string {
		server := well(t)
		server.Kill()
		return server.URL(0)
	},
	"Redis does not answer in time": func(t *testing.T) string {
		server := well(t)
		server.Pause()
		return server.URL(0)
	},
	"NOREPLICAS": func(t *testing.T) string {
		master := well(t, "--min-replicas-to-write 1", "--min-replicas-max-lag 1")
		replica := replicaOf(t, master)
		replica.Pause()
		client := master.Client(t)
		for end := time.Now().Add(30 * time.Second); !redis.HasErrorPrefix(client.Set(t.Context(), "x", "", time.Second).Err(), "NOREPLICAS"); {
			if time.Now().After(end) {
				t.Fatal("the master does not miss its replica")
			}
			time.Sleep(10 * time.Millisecond)
		}
		return master.URL(0)
	},
	"unfit replica":            func(t *testing.T) string { return replicaOf(t, well(t)).URL(0) },
	"Redis refuses the client": func(t *testing.T) string { return "redis://:" + secret + "@" + well(t, "--requirepass other").Addr },
	"unfit evalsha":            func(t *testing.T) string { return withACL(t, well(t), "~*", "&*", "+@all", "-evalsha") },
	"malformed": func(t *testing.T) string {
		server := well(t)
		set(t, server, "draft-7", "<p>another program's</p>")
		return server.URL(0)
	},
	"weak maxmemory-policy": func(t *testing.T) string {
		return well(t, "--maxmemory 100mb", "--maxmemory-policy allkeys-lru").URL(0)
	},
	"weak persistence": func(t *testing.T) string { return redistest.Start(t).URL(0) },
	"weak memory": func(t *testing.T) string {
		server := well(t)
		if err := server.Client(t).ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
			t.Fatal(err)
		}
		return server.URL(0)
	},
	"weak clock": func(t *testing.T) string {
		server, err := embedded.Start() // whose clock can be set
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		server.SetTime(time.Now().Add(time.Hour))
		return "redis://" + server.Addr()
	},
	"weak index":    func(t *testing.T) string { return withACL(t, well(t), "~*", "&*", "+@all", "-zadd") },
	"late publish":  func(t *testing.T) string { return withACL(t, well(t), "~*", "&*", "+@all", "-publish") },
	"late channels": func(t *testing.T) string { return withACL(t, well(t), "~*", "resetchannels", "+@all") },
	"unfit cluster": func(t *testing.T) string { return "redis://" + redistest.StartCluster(t).Addrs()[0] },
	"HELD FOR": func(t *testing.T) string {
		server := well(t)
		acquire(t, newLocker(t, server).Mutex("draft-7", time.Minute, core.User{ID: core.ID(1), Name: "Ann"}))
		return server.URL(0)
	},
}

func TestEachTroubleOfTheRunbookIsFoundByItsCommand(t *testing.T) {
	t.Parallel()
	rows := troubles(t)
	if len(rows) < 10 {
		t.Fatalf("RUNBOOK.md has %d troubles that can be played", len(rows))
	}
	played := make(map[string]bool)
	for i, row := range rows {
		play := troubled[row.printed[0]]
		if play == nil {
			t.Errorf("nobody plays %q, which prints %q", row.people, row.printed)
			continue
		}
		played[row.printed[0]] = true
		t.Run(fmt.Sprint(i+1, " ", row.people), func(t *testing.T) {
			t.Parallel()
			url, printed := play(t), ""
			for _, command := range row.commands {
				args := slices.Concat(command, []string{"-url", url})
				if command[0] == "break" {
					args = append(args, "-yes")
				}
				r := call(t, args...)
				printed += " " + strings.Join(strings.Fields(r.out+r.err), " ")
			}
			for _, text := range row.printed {
				if !strings.Contains(printed, text) {
					t.Errorf("%v do not print %q, but:%s", row.commands, text, printed)
				}
			}
		})
	}
	for text := range troubled {
		if !played[text] {
			t.Errorf("no row of RUNBOOK.md quotes %q first", text)
		}
	}
}
