package model

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
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

// mutation replaces a part of one file's text, in every script that the file is a part of.
type mutation struct{ file, old, new string }

// mutants by what is wrong with them. before runs, if there is one, as a command of its own before the
// script of the operation that the first mutation changes. What random histories seldom meet has its own.
var mutants = map[string]struct {
	mutations []mutation
	before    *mutation
	history   []Op
}{
	// Two clients find the lock free, and both get it.
	"GET, then SET": {
		mutations: []mutation{{"acquire.lua", "if locked then return unchanged('locked') end\n", ""}},
		before:    &mutation{"grant.lua", "if not outcome then\n", "do return '' end\nif not outcome then\n"},
	},
	// Anybody ends the hold of another.
	"DEL without an owner check": {
		mutations: []mutation{{"release.lua", "local own = mine and (named_fence == 0 or record.fence == named_fence)", "local own = true"}},
	},
	// The reply is as it should be, but the lease in Redis ends when it would have.
	"renew without extending": {
		mutations: []mutation{{"write.lua", "if redis.pcall('SET',", "if outcome ~= 'renewed' and redis.pcall('SET',"}},
	},
	// A release forgets the fence, so that the next hold begins with the time again, also if it is the same user's.
	"a fence that restarts": {
		mutations: []mutation{{"release.lua", "  outcome = 'released'\n", `  outcome = 'released'
  record.user, record.fence, linger, leases = nil, nil, nil, {}
`}},
	},
	"a fence that stays when the holder changes": {
		mutations: []mutation{{"grant.lua", "math.max(now, (record.fence or 0) + 1), caller", "record.fence or now, caller"}},
	},
	// What cannot be read counts as free.
	"a grant on a malformed record": {
		mutations: []mutation{{"record.lua", "local record = {}\n", `local record = {}
if text ~= '' and not pcall(cjson.decode, text) then text = '' end
`}},
	},
	// It takes the lock from a user whom the taker has not seen.
	"a takeover without comparing the fence": {
		mutations: []mutation{{"takeover.lua", "if locked and record.fence ~= named_fence then return unchanged('conflict') end\n", ""}},
	},
	// It breaks the hold of somebody whom the administrator has not seen.
	"a break without comparing the fence": {
		mutations: []mutation{{"break.lua", "  if record.fence ~= named_fence then return unchanged('conflict') end\n", ""}},
	},
	// The loser's page resumes under the fence that it has.
	"a break that leaves the fence to the loser": {
		mutations: []mutation{{"break.lua", "math.max(now, record.fence + 1), caller, ARGV[3]", "record.fence, record.user, record.name"}},
	},
	// The loser's page acquires the lock again at once.
	"a break that ends no session": {
		mutations: []mutation{{"break.lua", "end_all_sessions()\n", ""}},
	},
	// The page is back and leaves again, and still the lock is kept for it.
	"a linger that a new lease does not end": {
		mutations: []mutation{{"grant.lua", "    linger = nil -- the page that it was kept for is back\n", ""}},
	},
	// Closing one tab takes the lock from the other.
	"a release that ignores the session": {
		mutations: []mutation{{"release.lua", "if session == '' or name == session then", "if true then"}},
	},
	// A POST that its page's release overtook takes the lock for nobody.
	"an acquire that ignores an ended session": {
		mutations: []mutation{{"acquire.lua", "if session_ended then return unchanged('ended') end\n", ""}},
	},
	// The one who asks last gets the lock.
	"an ask that another's replaces": {
		mutations: []mutation{{"ask.lua", " or (ask and ask.user ~= caller)", ""}},
	},
	// Who asked somebody else gets the lock of the next holder.
	"an ask that outlives the hold": {
		mutations: []mutation{{"record.lua", " and ask.fence == record.fence", ""}},
	},
	"an ask for one's own lock": {
		mutations: []mutation{
			{"ask.lua", "if not held or mine or", "if not held or"},
			{"record.lua", " and ask.user ~= record.user", ""},
		},
	},
	"an ask for a free lock": {
		mutations: []mutation{{"ask.lua", "if not held or mine or", "if not record.user or mine or"}},
	},
	// It frees the lock for nobody.
	"a handover that nobody asked for": {
		mutations: []mutation{{"handover.lua", "if not ask then return unchanged('unasked') end\n", `if not ask then ask = { user = caller, name = ARGV[3] } end
`}},
	},
	// The former holder's page acquires the lock again as soon as it is free.
	"a handover that ends no session": {
		mutations: []mutation{{"handover.lua", "end_all_sessions()\n", ""}},
	},
	// The former holder's page saves under the fence that it has.
	"a handover that keeps the fence": {
		mutations: []mutation{{"handover.lua", "math.max(now, record.fence + 1), ask.user", "record.fence, ask.user"}},
	},
	"a handover that leaves the leases": {
		mutations: []mutation{{"handover.lua", "leases, linger, ask = now, nil, {}, now + duration, nil", "linger, ask = now, nil, now + duration, nil"}},
	},
	"a handover without comparing the fence": {
		mutations: []mutation{{"handover.lua", " or record.fence ~= named_fence", ""}},
	},
	"another session of the user's is let in": {
		mutations: []mutation{{"record.lua", "lease_end > now then others = true end", "lease_end > now then others = false end"}},
	},
	// Two pages save under one fence.
	"a fence that stays when the session changes": {
		mutations: []mutation{{"grant.lua", "if not (mine or heir) then", "if record.user ~= caller then"}},
	},
	// Nobody gets in again before the linger ends.
	"a linger that keeps the user's next session out": {
		mutations: []mutation{{"record.lua", "  locked = others\n", "  locked = others or (held and record.session ~= session)\n"}},
	},
	"a linger that the next session takes up under its fence": {
		mutations: []mutation{{"record.lua", "    mine = record.session == session\n", "    mine = record.session == session; heir = held and not mine\n"}},
	},
	// Who was handed the lock cannot go on under the fence that they were told.
	"a handed-over lock that takes a new fence": {
		mutations: []mutation{{"record.lua", "heir = held and not mine", "heir = false"}},
	},
	// Several sessions in scope user hold the lock, and one of them in scope session goes on alone under its fence.
	"a session that stays the holder when others join": {
		mutations: []mutation{{"grant.lua", "    record.session = SEVERAL\n", ""}},
	},
	"a session that is not bound to the hold": {
		mutations: []mutation{{"grant.lua", "    record.session = session\n", ""}},
	},
	"a takeover that leaves the lock to the former session": {
		mutations: []mutation{{"grant.lua", "    record.session = session\n", "    record.session = record.session or session\n"},
			{"grant.lua", "caller, nil\n", "caller, record.session\n"}},
	},
	// The page has fallen silent, and is still said to be idle.
	"an idle time that stays": {
		mutations: []mutation{{"grant.lua", "  elseif typed then\n    typed[session] = nil\n", ""}},
	},
	"an idle time of a dead session": {
		mutations: []mutation{{"write.lua", "  if not leases[name] then typed[name] = nil end\n", `  if not leases[name] then
    for other in pairs(leases) do
      if typed[other] then typed[other] = math.max(typed[other], typed[name]) end
    end
    typed[name] = nil
  end
`}},
		history: []Op{
			{Kind: Acquire, User: ann, Session: "a", TTL: time.Hour, IdleKnown: true},
			{Kind: Acquire, User: ann, Session: "b", TTL: time.Hour, IdleKnown: true, Idle: time.Minute},
			{Kind: Release, User: ann, Session: "a", TTL: time.Hour},
			{Kind: Status},
		},
	},
	"an idle time of the hold before": {
		mutations: []mutation{{"grant.lua", "leases, typed = now, nil, {}, nil", "leases = now, nil, {}"}, {"write.lua", "  if not leases[name] then typed[name] = nil end\n", ""},
			{"grant.lua", "    typed[session] = math.max(now - idle, 0)\n", `    typed[session] = math.max(now - idle, 0)
    for _, at in pairs(typed) do typed[session] = math.max(typed[session], at) end
`}},
	},
}

// maxHistories bounds how long a mutant may stay hidden. Most are caught by one of the first few.
const maxHistories = 150

// scripts are the files of each operation's script, as the engine sends it.
var scripts = map[string][]string{
	"acquire.lua":  {"record.lua", "forget.lua", "acquire.lua", "grant.lua", "write.lua"},
	"ask.lua":      {"record.lua", "forget.lua", "ask.lua", "write.lua"},
	"break.lua":    {"record.lua", "forget.lua", "ended.lua", "break.lua", "write.lua"},
	"check.lua":    {"record.lua", "forget.lua", "check.lua", "grant.lua", "write.lua"},
	"handover.lua": {"record.lua", "forget.lua", "ended.lua", "handover.lua", "write.lua"},
	"takeover.lua": {"record.lua", "forget.lua", "takeover.lua", "grant.lua", "write.lua"},
	"release.lua":  {"record.lua", "forget.lua", "ended.lua", "release.lua", "write.lua"},
	"status.lua":   {"record.lua", "status.lua"},
}

// source is an operation's script with the mutations of its files.
func source(t *testing.T, operation string, mutations ...mutation) string {
	t.Helper()
	var script strings.Builder
	for _, file := range scripts[operation] {
		text := read(t, file)
		for _, m := range mutations {
			if m.file == file {
				text = m.apply(t, text)
			}
		}
		script.WriteString(text)
	}
	return script.String()
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "core", "internal", "record", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (m mutation) apply(t *testing.T, text string) string {
	t.Helper()
	if n := strings.Count(text, m.old); n != 1 {
		t.Fatalf("%s has %d times what the mutant replaces: %s", m.file, n, m.old)
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
		sha := args[1].(string)
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
	for operation := range scripts {
		sum := sha1.Sum([]byte(source(t, operation)))
		sha := hex.EncodeToString(sum[:])
		m.texts[sha] = source(t, operation, mutations...)
		if before != nil && mutations[0].file == operation {
			m.before[sha] = source(t, operation, *before)
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
			// By itself, for in one pipeline the two are seldom a millisecond apart.
			return errors.Join(run(commands[last:]), run(commands[:last]))
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
				if cmd.Name() != "getex" || cmd.Err() != nil && !errors.Is(cmd.Err(), redis.Nil) {
					continue
				}
				read, key := cmd.(stringReply), cmd.Args()[1].(string)
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

// caught plays histories of a broken engine until one is refused, and returns that and its number. Their leases end soon,
// since it takes expiries to catch what is wrong with plain reads. For scripts they do not end in every fourth history,
// in another fourth some of a hold's end before others, in a third one somebody spoils the record, and in
// some all are sessions of one user.
func caught(t *testing.T, way way, hook redis.Hook, limit int) (events []event, info porcupine.LinearizationInfo, number int) {
	t.Helper()
	s := newSite(t, way, hook)
	script := script{seed: newSeed(), each: 12}
	for i := range limit {
		script.scopes = scopes[i%len(scopes)]
		script.ttls = []time.Duration{20 * time.Millisecond, 40 * time.Millisecond}
		if !way.plain {
			script.spoils, script.alone, script.pause = i%4 == 0, i%8 >= 6, 0
			switch i % 4 {
			case 1:
				script.ttls = []time.Duration{9 * time.Second, time.Hour}
			case 3:
				script.ttls, script.pause = []time.Duration{10 * time.Millisecond, time.Hour}, 15*time.Millisecond
			}
		}
		events := s.play(t, script)
		if result, info := check(events); result == porcupine.Illegal {
			return events, info, i + 1
		}
		script.seed++
	}
	return nil, info, 0
}

// playInTurn records the history of operations one after the other.
func (s *site) playInTurn(t *testing.T, operations []Op) (history []event) {
	t.Helper()
	for _, op := range operations {
		_, events := s.record(t, "draft", 0, op)
		history = append(history, events...)
	}
	return history
}

// TestMutantsAreCaught takes a few seconds.
func TestMutantsAreCaught(t *testing.T) {
	for _, way := range ways {
		t.Run("but not the engine itself: "+way.name, func(t *testing.T) {
			if events, info, number := caught(t, way, newMutant(t, nil, nil), 10); number > 0 {
				t.Errorf("nothing is mutated, and yet\n%s", explain(t, events, info))
			}
		})
	}
	is := func(way way, hook redis.Hook) func(*testing.T) {
		return func(t *testing.T) {
			events, info, number := caught(t, way, hook, maxHistories)
			if number == 0 {
				t.Fatalf("none of %d histories was refused", maxHistories)
			}
			t.Logf("caught by history %d:\n%s", number, explain(t, events, info))
		}
	}
	for name, m := range mutants {
		if m.history == nil {
			t.Run(name, is(ways[0], newMutant(t, m.mutations, m.before)))
			continue
		}
		t.Run(name, func(t *testing.T) {
			for _, hook := range []redis.Hook{unhooked{}, newMutant(t, m.mutations, m.before)} {
				events := newSite(t, ways[0], hook).playInTurn(t, m.history)
				result, info := check(events)
				if _, mutated := hook.(*mutant); mutated != (result == porcupine.Illegal) {
					t.Errorf("mutated: %v\n%s", mutated, explain(t, events, info))
				}
			}
		})
	}
	for name, path := range brokenPaths {
		t.Run(name, is(ways[1], path()))
	}
}
