package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core/redistest"
)

// What a call costs redis-server by itself, which runs one command at a time: however many callers there are,
// no call can take less. The rule of this file: the commands are those that the libraries send, taken down by a
// hook, or on the wire where a client has none, and sent again, in pipelines so long that client and wire hardly count.

const (
	feeders = 4  // connections that send
	replays = 24 // calls in a pipeline
)

// timed is what Redis takes for a lock by its own clock before the lock decides anything.
const timed = `local time = redis.call('TIME')
local value = redis.call('GET', KEYS[1]) or time[1]
redis.call('SET', KEYS[1], value, 'PX', ARGV[1])
return value`

// timedCase is measured here only.
var timedCase = benchCase{name: "TIME, GET and SET in a script", open: func(s *site) (maker, error) {
	client := s.goRedis()
	sha, err := client.ScriptLoad(s.ctx, timed).Result()
	return func(caller int) (call, error) {
		keys := []string{name("timed", caller)}
		return func(ctx context.Context) error { return client.EvalSha(ctx, sha, keys, heldMS).Err() }, nil
	}, err
}}

// replayed are the cases.
var replayed = []string{
	"go-redis GET", "go-redis EVALSHA", timedCase.name,
	"redislock acquire + release", "redsync acquire + release", "rueidislock acquire + release",
	"editlock guard check", "editlock denied", "editlock renew", "editlock acquire + release",
}

func measureReplay(ctx context.Context, b *bed, c config, noise *disturbance) (results, error) {
	redisServer := redistest.Start(b)
	rig, err := newRig(ctx, redisServer.Client(b))
	if err != nil {
		return results{}, err
	}
	recorder := new(recorder)
	s := newSite(ctx, redisServer.Addr)
	s.hook, s.tap = recorder, recorder.listenOn
	defer s.close()
	client := redis.NewClient(&redis.Options{Addr: redisServer.Addr, PoolSize: feeders, ReadTimeout: patience, PoolTimeout: patience})
	defer client.Close()

	var jobs []job
	for _, one := range append(cases(), timedCase) {
		if !slices.Contains(replayed, one.name) {
			continue
		}
		calls, err := one.calls(s, feeders)
		if err != nil {
			return results{}, err
		}
		for i, do := range calls {
			commands, err := recorder.record(ctx, do)
			if err != nil {
				return results{}, fmt.Errorf("%s: %w", one.name, err)
			}
			calls[i] = replay(client, commands)
		}
		jobs = append(jobs, rig.callers(one.name, calls))
	}
	found, err := interleave(jobs, c.slice, c, noise)
	if err != nil {
		return results{}, err
	}
	perCall := func(one sample) float64 { return one.Server / replays }
	r := section{
		title: "What a call costs redis-server",
		note: fmt.Sprintf("Processor time of redis-server for what a call sends, without a system call for each: pipelines of %d calls on %d connections. "+
			"What Redis does to track the keys that rueidislock has read is not in it.", replays, feeders),
		header: []string{"", "µs a call", "x EVALSHA"},
	}
	evalsha := key{"go-redis EVALSHA", feeders}
	for _, j := range jobs {
		k := key{j.name, j.callers}
		r.rows = append(r.rows, []string{j.name, spread(found.summary(k, micro(perCall))), figure(found.ratio(k, evalsha, perCall).Median)})
	}
	return results{Sections: []section{r}}, nil
}

// recorded is a command and how its reply begins, if that is a string: with its first word, or of a script of the
// engine's with the key and the outcome.
type recorded struct {
	args []any
	word string
}

// recorder takes commands down: as a hook, and on connections.
type recorder struct {
	mu       sync.Mutex
	commands []recorded
	wire     []byte // what was written to connections
}

// record returns what a call sends when the server knows its scripts.
func (r *recorder) record(ctx context.Context, do call) ([]recorded, error) {
	if err := do(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.commands, r.wire = nil, nil
	r.mu.Unlock()
	if err := do(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	written, err := commandsIn(r.wire)
	return append(r.commands, written...), err
}

// listenOn returns the connection; what is written to it is taken down.
func (r *recorder) listenOn(conn net.Conn) net.Conn { return &tapped{conn, r} }

type tapped struct {
	net.Conn
	recorder *recorder
}

func (t *tapped) Write(text []byte) (int, error) {
	t.recorder.mu.Lock()
	t.recorder.wire = append(t.recorder.wire, text...)
	t.recorder.mu.Unlock()
	return t.Conn.Write(text)
}

// commandsIn reads the commands that a client wrote: arrays of strings in Redis's protocol. A PING, by which a
// client looks after its connection, is none of a call's.
func commandsIn(wire []byte) (list []recorded, err error) {
	in := bufio.NewReader(bytes.NewReader(wire))
	number := func(kind byte) (n int, err error) {
		line, err := in.ReadString('\n')
		if err == nil && line[0] != kind {
			err = fmt.Errorf("%q begins with another character than %q", line, kind)
		}
		if err == nil {
			n, err = strconv.Atoi(strings.TrimSpace(line[1:]))
		}
		return n, err
	}
	for {
		words, err := number('*')
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		args := make([]any, max(words, 0))
		for i := range args {
			var length int
			if err == nil {
				length, err = number('$')
			}
			text := make([]byte, max(length, 0)+len("\r\n"))
			if err == nil {
				_, err = io.ReadFull(in, text)
			}
			args[i] = string(text[:max(length, 0)])
		}
		if err != nil {
			return nil, fmt.Errorf("what a client wrote: %w", err)
		}
		if len(args) > 0 && args[0] != "PING" {
			list = append(list, recorded{args: args})
		}
	}
}

func (r *recorder) take(cmd redis.Cmder) {
	one := recorded{args: slices.Clone(cmd.Args())}
	if reply, ok := cmd.(interface{ Val() string }); ok {
		one.word, _, _ = strings.Cut(reply.Val(), " ")
		if lines := strings.SplitAfterN(one.word, "\n", 3); len(lines) == 3 {
			one.word = lines[0] + lines[1]
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commands = append(r.commands, one)
}

func (r *recorder) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *recorder) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		r.take(cmd)
		return err
	}
}

func (r *recorder) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		err := next(ctx, commands)
		for _, cmd := range commands {
			r.take(cmd)
		}
		return err
	}
}

// replay sends what a call sends, many times in one pipeline. A TIME, with which the engine ends a pipeline of
// its own, ends this one.
func replay(client *redis.Client, commands []recorded) call {
	isTime := func(one recorded) bool { return one.args[0] == "time" }
	times := slices.ContainsFunc(commands, isTime)
	commands = slices.DeleteFunc(slices.Clone(commands), isTime)
	return func(ctx context.Context) error {
		replies, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for range replays {
				for _, one := range commands {
					p.Do(ctx, one.args...)
				}
			}
			if times {
				p.Do(ctx, "time")
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(commands) == 0 {
			return errors.New("the call sent nothing")
		}
		for i, reply := range replies[:replays*len(commands)] {
			want := commands[i%len(commands)].word
			if text, ok := reply.(*redis.Cmd).Val().(string); ok && want != "" && !strings.HasPrefix(text, want) {
				return fmt.Errorf("replied %q, not %q", text, want)
			}
		}
		return nil
	}
}
