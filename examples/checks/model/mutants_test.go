package model

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"
)

// The tests of the test: engines, each broken in a way in which real lock engines were, must be
// caught. The rule of this file: what is broken is only what goes to Redis and comes from there. The engine
// sends its commands as ever, and a hook in between replaces the scripts' text, so that core has nothing for
// this and each mutant is its real script but for a few lines. A mutant whose lines are no longer there fails
// the test. Other hooks break plain reads and batches.

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
			{"grant.lua", "holder_name, changed, lapsed = name, true, false", "holder_name, changed, lapsed = name, not (held and mine), false"},
			{"check.lua", "outcome, changed, lapsed = 'renewed', true, false", "outcome, lapsed = 'renewed', false"},
		},
	},
	// A fence counts the holders for as long as somebody holds the lock, and then begins anew.
	"a fence that restarts": {
		mutations: []mutation{
			{"grant.lua", "math.max(now, fence + 1)", "fence + 1"},
			{"release.lua", "announce = held and mine and (live or free)", "announce = held and mine and (live or free)\nif announce and free then fence, holder = 0, '' end"},
		},
	},
}

// maxHistories bounds how long a mutant may stay hidden. Most are caught by the first history.
const maxHistories = 50

// parts are the files that make a script, in their order.
func parts(file string) []string {
	if file == "release.lua" || file == "status.lua" {
		return []string{"struct.lua", "hold.lua", file, "answer.lua"}
	}
	return []string{"struct.lua", "hold.lua", file, "grant.lua", "answer.lua"}
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

// mutant is a hook that sends other scripts than it is told to.
type mutant struct {
	unhooked
	texts  map[string]string // the mutated text by the original's hash
	before map[string]string // what runs ahead of it; an answer that is not empty is the reply
}

// plain is a command that go-redis does not send again, as the engine's are.
type plain struct{ *redis.StringCmd }

func (plain) NoRetry() bool { return true }

func (m *mutant) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		args := cmd.Args()
		if cmd.Name() != "evalsha" {
			return next(ctx, cmd)
		}
		sha := *args[1].(*string) // the engine's arguments point to its call
		text, found := m.texts[sha]
		if !found {
			return next(ctx, cmd)
		}
		value, err := "", error(nil)
		if before := m.before[sha]; before != "" {
			value, err = eval(ctx, next, before, args)
		}
		if value == "" && err == nil {
			value, err = eval(ctx, next, text, args)
		}
		if err != nil {
			cmd.SetErr(err)
			return err
		}
		cmd.(stringReply).SetVal(value)
		return nil
	}
}

func eval(ctx context.Context, next redis.ProcessHook, text string, args []any) (string, error) {
	cmd := plain{redis.NewStringCmd(ctx, append([]any{"eval", text}, args[2:]...)...)}
	if err := next(ctx, cmd); err != nil {
		return "", err
	}
	return cmd.Result()
}

// newMutant makes a hook that replaces scripts; all of them if there is nothing to mutate, by themselves.
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

// unhooked is a hook that does nothing.
type unhooked struct{}

func (unhooked) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (unhooked) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (unhooked) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// broken is a hook that carries a pipeline out in another way.
type broken struct {
	unhooked
	pipeline func(commands []redis.Cmder, run func([]redis.Cmder) error) error
}

func (b broken) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		return b.pipeline(commands, func(commands []redis.Cmder) error { return next(ctx, commands) })
	}
}

// stringReply is a command of the engine's.
type stringReply interface {
	redis.Cmder
	Result() (string, error)
	SetVal(string)
}

// answerWith gives the command another reply.
func answerWith(cmd stringReply, value string, err error) {
	cmd.SetVal(value)
	cmd.SetErr(err)
}

// brokenPaths by what is wrong with plain reads or batches.
var brokenPaths = map[string]func() broken{
	// What is held by this time need not have been held when it was read.
	"TIME comes first": func() broken {
		return broken{pipeline: func(commands []redis.Cmder, run func([]redis.Cmder) error) error {
			last := len(commands) - 1
			if commands[last].Name() != "time" {
				return run(commands)
			}
			return run(append([]redis.Cmder{commands[last]}, commands[:last]...))
		}}
	},
	"a stale TIME": func() broken {
		return broken{pipeline: func(commands []redis.Cmder, run func([]redis.Cmder) error) error {
			err := run(commands)
			if now, ok := commands[len(commands)-1].(*redis.TimeCmd); ok && now.Err() == nil {
				now.SetVal(now.Val().Add(-50 * time.Millisecond))
			}
			return err
		}}
	},
	// The reply of a read is that of the read before it.
	"a cached value": func() broken {
		var mu sync.Mutex
		type reply struct {
			value string
			err   error
		}
		cache := map[string]reply{}
		return broken{pipeline: func(commands []redis.Cmder, run func([]redis.Cmder) error) error {
			err := run(commands)
			mu.Lock()
			defer mu.Unlock()
			for _, cmd := range commands {
				if cmd.Name() != "getex" || cmd.Err() != nil && cmd.Err() != redis.Nil {
					continue
				}
				read, key := cmd.(stringReply), *cmd.Args()[1].(*string)
				value, err := read.Result()
				if before, found := cache[key]; found {
					answerWith(read, before.value, before.err)
				}
				cache[key] = reply{value, err}
			}
			return err
		}}
	},
	// The calls of a batch get each other's replies.
	"swapped replies": func() broken {
		return broken{pipeline: func(commands []redis.Cmder, run func([]redis.Cmder) error) error {
			err := run(commands)
			var scripts []stringReply
			for _, cmd := range commands {
				if cmd.Name() == "evalsha" {
					scripts = append(scripts, cmd.(stringReply))
				}
			}
			if len(scripts) > 1 {
				value, err := scripts[0].Result()
				for i, cmd := range scripts[1:] {
					v, e := cmd.Result()
					answerWith(scripts[i], v, e)
				}
				answerWith(scripts[len(scripts)-1], value, err)
			}
			return err
		}}
	},
}

// caught plays histories of a broken engine until one is refused, and tells which.
func caught(t *testing.T, way way, hook redis.Hook, limit int) (events []event, info porcupine.LinearizationInfo, found bool) {
	t.Helper()
	s := newSite(t, way, hook)
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

// TestMutantsAreCaught takes a few seconds.
func TestMutantsAreCaught(t *testing.T) {
	for _, way := range ways {
		t.Run("but not the engine itself: "+way.name, func(t *testing.T) {
			if events, info, found := caught(t, way, newMutant(t, nil, nil), 10); found {
				t.Errorf("nothing is mutated, and yet\n%s", explain(t, events, info))
			}
		})
	}
	is := func(way way, hook redis.Hook) func(*testing.T) {
		return func(t *testing.T) {
			events, info, found := caught(t, way, hook, maxHistories)
			if !found {
				t.Fatalf("none of %d histories was refused", maxHistories)
			}
			t.Logf("caught:\n%s", explain(t, events, info))
		}
	}
	for name, m := range mutants {
		t.Run(name, is(ways[0], newMutant(t, m.mutations, m.before)))
	}
	for name, path := range brokenPaths {
		t.Run(name, is(ways[1], path()))
	}
}
