package model

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
)

// The tests of the test: four engines, each broken in a way in which real lock engines were, must be
// caught. The rule of this file: what is broken is only what goes to Redis. The engine sends its scripts
// as ever, and a client in between replaces their text, so that core has no hook for this and each
// mutant is its real script but for a few lines. A mutant whose lines are no longer there fails the test.

// mutation replaces a part of one script's text, or of all that share a file.
type mutation struct{ script, old, new string }

// mutants by what is wrong with them. before runs, if there is one, as a command of its own before the
// script that the mutations make.
var mutants = map[string]struct {
	mutations []mutation
	before    *mutation
}{
	// Two clients find the lock free, and both get it.
	"GET, then SET": {
		mutations: []mutation{{"acquire.lua", "if held and not mine then\n  outcome = 'locked'\nelseif", "if"}},
		before:    &mutation{"acquire.lua", "  granted = true\n", "  do return '' end\n"},
	},
	// Who does not hold the lock ends the hold of another.
	"DEL without an owner check": {
		mutations: []mutation{{"release.lua", "mine = mine and (not match or fence == match)", "mine = true"}},
	},
	// The reply is as it should be, but the claim in Redis ends when it would have.
	"renew without extending": {
		mutations: []mutation{
			{"grant.lua", "holder_name, lapsed, changed = name, {}, true", "holder_name, lapsed, changed = name, {}, not (held and mine)"},
			{"check.lua", "outcome, changed, lapsed = 'renewed', true, {}", "outcome, lapsed = 'renewed', {}"},
		},
	},
	// A fence counts the holders for as long as somebody holds the lock, and then begins anew.
	"a fence that restarts": {
		mutations: []mutation{
			{"grant.lua", "fence + 1 > now and string.format('%.0f', fence + 1) or start", "string.format('%.0f', fence + 1)"},
			{"release.lua", "if changed and not live then", "if held and mine and next(claims) == nil then fence, holder = '0', '' end\nif changed and not live then"},
		},
	},
}

// maxHistories bounds how long a mutant may stay hidden. Most are caught by the first history.
const maxHistories = 50

// parts are the files that make a script, in their order.
func parts(file string) []string {
	if file == "release.lua" || file == "status.lua" {
		return []string{"hold.lua", file, "answer.lua"}
	}
	return []string{"hold.lua", file, "grant.lua", "answer.lua"}
}

// source is a script as the engine sends it.
func source(t *testing.T, file string) string {
	t.Helper()
	var text strings.Builder
	for _, name := range parts(file) {
		part, err := os.ReadFile(filepath.Join("..", "..", "..", "core", name))
		if err != nil {
			t.Fatal(err)
		}
		text.Write(part)
	}
	return text.String()
}

func (m mutation) apply(t *testing.T, text string) string {
	t.Helper()
	if n := strings.Count(text, m.old); n != 1 {
		t.Fatalf("%s has %d times what the mutant replaces: %s", m.script, n, m.old)
	}
	return strings.Replace(text, m.old, m.new, 1)
}

// mutant is a client that sends other scripts than it is told to.
type mutant struct {
	core.Client
	texts  map[string]string // the mutated text by the original's hash
	before map[string]string // what runs ahead of it; an answer that is not empty is the reply
}

// plain is a command that go-redis does not send again, as the engine's are.
type plain struct{ *redis.StringCmd }

func (plain) NoRetry() bool { return true }

func (m *mutant) Process(ctx context.Context, cmd redis.Cmder) error {
	args := cmd.Args()
	sha, _ := args[1].(*string) // the engine's arguments point to its call
	if sha == nil {
		return m.Client.Process(ctx, cmd)
	}
	text, found := m.texts[*sha]
	if !found {
		return m.Client.Process(ctx, cmd)
	}
	value, err := "", error(nil)
	if before := m.before[*sha]; before != "" {
		value, err = m.eval(ctx, before, args)
	}
	if value == "" && err == nil {
		value, err = m.eval(ctx, text, args)
	}
	if err != nil {
		cmd.SetErr(err)
		return err
	}
	cmd.(interface{ SetVal(string) }).SetVal(value)
	return nil
}

func (m *mutant) eval(ctx context.Context, text string, args []any) (string, error) {
	cmd := plain{redis.NewStringCmd(ctx, append([]any{"eval", text}, args[2:]...)...)}
	if err := m.Client.Process(ctx, cmd); err != nil {
		return "", err
	}
	return cmd.Result()
}

// newMutant makes a client of the engine's that replaces scripts; all of them if there is nothing to
// mutate, by themselves.
func newMutant(t *testing.T, mutations []mutation, before *mutation) *mutant {
	t.Helper()
	m := &mutant{texts: map[string]string{}, before: map[string]string{}}
	for _, file := range []string{"acquire.lua", "check.lua", "release.lua", "takeover.lua", "status.lua"} {
		text := source(t, file)
		sum := sha1.Sum([]byte(text))
		sha := hex.EncodeToString(sum[:])
		m.texts[sha] = text
		for _, mutation := range mutations {
			if slices.Contains(parts(file), mutation.script) {
				m.texts[sha] = mutation.apply(t, m.texts[sha])
			}
		}
		if before != nil && before.script == file {
			m.before[sha] = before.apply(t, text)
		}
	}
	return m
}

// caught plays histories with a mutant until one is refused, and tells which.
func (m *mutant) caught(t *testing.T, limit int) (events []event, info porcupine.LinearizationInfo, found bool) {
	t.Helper()
	s := newSite(t, func(c core.Client) core.Client { m.Client = c; return m })
	script := script{seed: newSeed(), each: 12, ttls: []time.Duration{20 * time.Millisecond, 40 * time.Millisecond}}
	for ; limit > 0; limit-- {
		events := s.play(t, script)
		if result, info := check(events); result == porcupine.Illegal {
			return events, info, true
		}
		script.seed++
	}
	return nil, info, false
}

// TestMutantsAreCaught takes less than a second.
func TestMutantsAreCaught(t *testing.T) {
	t.Run("but not the engine itself", func(t *testing.T) {
		if events, info, found := newMutant(t, nil, nil).caught(t, 10); found {
			t.Errorf("nothing is mutated, and yet\n%s", explain(t, events, info))
		}
	})
	for name, broken := range mutants {
		t.Run(name, func(t *testing.T) {
			events, info, found := newMutant(t, broken.mutations, broken.before).caught(t, maxHistories)
			if !found {
				t.Fatalf("none of %d histories was refused", maxHistories)
			}
			t.Logf("caught:\n%s", explain(t, events, info))
		})
	}
}
