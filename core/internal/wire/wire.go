// Package wire is the way to Redis. A lock is unknown to it: it carries commands there and their answers back.
//
// Its rules: every call ends by its deadline, whatever the client's own options are. Nothing that Redis may
// have carried out is sent again, unless a repeat is harmless. Calls that are made at the same time share a
// pipeline, as soon as there is a crowd of them (lane.go).
package wire

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names a script by its SHA-1
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Client is what the wire needs of a go-redis client.
type Client interface {
	Process(ctx context.Context, cmd redis.Cmder) error
	Pipeline() redis.Pipeliner
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
}

// What a client offers besides says what is behind it. Also a struct that embeds *redis.Client offers it.
type (
	singleServer interface{ Options() *redis.Options }
	cluster      interface {
		Options() *redis.ClusterOptions
		MasterForKey(ctx context.Context, key string) (*redis.Client, error)
		ReloadState(ctx context.Context)
	}
	ring interface{ Options() *redis.RingOptions }
)

// Server is one of those behind a client, for comparison. The zero Server stands for all that the client leads to: one
// server, or a cluster whose slots the client has not seen yet.
type Server struct{ master *redis.Client }

// ErrClosed is the error for a call after Shut.
var ErrClosed = errors.New("closed")

// Wire carries calls. It is safe for concurrent use. Shut and Close end it.
type Wire struct {
	client  Client
	timeout time.Duration
	lane    *lane       // to a single server; nil where every call goes by itself
	masters *masters    // the lanes of a cluster, likewise
	cluster cluster     // nil where the client is none
	single  bool        // everything goes to one server at a time
	reached atomic.Bool // the cluster's slots were seen: to ask the client for a key's master needs no network
	// obedient: the client itself ends what it does when the context ends, so no goroutine has to watch it.
	obedient  bool
	detached  chan struct{} // has a place for each goroutine that runs the client
	deadlines deadlines
	gate      gate

	batches, batched atomic.Uint64 // sent, and the calls in them

	pipelines sync.Pool
}

// maxDetached is far above what a Redis that is well leaves waiting. Beyond it a call waits for a place, at
// most until its deadline.
const maxDetached = 1024

// New returns a Wire whose calls are to end within timeout. It refuses a nil client, and a *redis.Ring: its
// servers share no clock, and one of them may take another's keys over.
func New(client Client, timeout time.Duration, batching bool) (*Wire, error) {
	if v := reflect.ValueOf(client); client == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, errors.New("nil")
	}
	w := &Wire{client: client, timeout: timeout, detached: make(chan struct{}, maxDetached), gate: gate{empty: make(chan struct{})}}
	w.deadlines.share = timeout / 20
	w.pipelines.New = func() any { return client.Pipeline() }
	switch c := client.(type) {
	case ring:
		return nil, errors.New("a *redis.Ring moves keys between servers that do not know of each other, so it can grant one lock twice")
	case singleServer:
		w.single, w.obedient = true, isObedient(c.Options())
		if batching {
			w.lane = newLane(w)
		}
	case cluster:
		// Never obedient: with a context of its own, the client may ask for the properties of commands for 5 s.
		w.cluster = c
		if batching {
			w.masters = &masters{wire: w}
		}
	}
	return w, nil
}

// isObedient reports whether a client ends what it does when the context ends. To ask for credentials it may call
// a function of the application's that has no context and can hang.
func isObedient(o *redis.Options) bool {
	return o.ContextTimeoutEnabled && o.CredentialsProvider == nil && o.StreamingCredentialsProvider == nil
}

// SingleServer reports whether all that is sent goes to one server at a time, so that a time read after a
// value is that of the value's server.
func (w *Wire) SingleServer() bool { return w.single }

// Cluster reports whether the client is a cluster's, so that keys are on several servers.
func (w *Wire) Cluster() bool { return w.cluster != nil }

// ServerOf returns the server that has a key, as far as the client knows without asking.
func (w *Wire) ServerOf(key string) Server {
	if w.cluster == nil || !w.reached.Load() {
		return Server{}
	}
	master, err := w.cluster.MasterForKey(context.Background(), key)
	if err != nil {
		return Server{}
	}
	return Server{master}
}

// LookForServers lets a cluster's client ask again which server has which keys. It does not wait for that.
func (w *Wire) LookForServers(ctx context.Context) {
	if w.cluster != nil {
		w.cluster.ReloadState(ctx)
	}
}

// Batches returns how many batches were sent, and how many calls went in them.
func (w *Wire) Batches() (batches, calls uint64) { return w.batches.Load(), w.batched.Load() }

// Timeout returns the time within which a call is to end.
func (w *Wire) Timeout() time.Duration { return w.timeout }

// Script is a Lua script, sent by its hash and, where Redis does not know that, as text.
type Script struct {
	text       string
	hash       any // a string, as an argument
	repeatable bool
}

// NewScript returns a script. repeatable says that running it once more after a lost reply does no harm.
func NewScript(text string, repeatable bool) *Script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // as above
	return &Script{text: text, hash: hex.EncodeToString(sum[:]), repeatable: repeatable}
}

// Call is one command and, once Do has returned nil, what Redis answered.
type Call struct {
	key        string
	args       []any
	script     *Script // nil: the command is as args say
	asText     bool    // the script itself is to be sent
	timed      bool    // the time is read after it
	repeatable bool

	// Value is the answer; it is empty where Redis has no such key.
	Value string
	// Time is Redis's, read on the same connection after the value; only of a Read.
	Time time.Time
	// Err is why this call has no value: Redis refused it, or the connection broke.
	Err error
	// Doubtful reports that the call was sent again after Redis may have carried it out.
	Doubtful bool

	deadline time.Time    // in a batch
	state    atomic.Int32 // in a batch: waiting, sent or left

	readArgs [2]any // room for the args of a Read
}

const (
	// scriptHead is a script's command, hash, number of keys and key, before its arguments.
	scriptHead = 4
	// maxArguments is how many arguments a script may have.
	maxArguments = 10
)

// Eval returns a call of a script with one key. appendArguments appends the script's arguments to what it is
// given.
func Eval(script *Script, key string, appendArguments func([]any) []any) *Call {
	c := &Call{key: key, script: script, repeatable: script.repeatable}
	c.args = appendArguments(append(make([]any, 0, scriptHead+maxArguments), "evalsha", script.hash, 1, key))
	return c
}

// Read returns a call that reads a key and then Redis's time. It is GETEX without an option, which changes
// nothing but counts as a write: go-redis never sends it to a replica, and a replica refuses it.
func Read(key string) *Call {
	c := &Call{key: key, timed: true, repeatable: true}
	c.args = append(c.readArgs[:0], "getex", key)
	return c
}

// arguments returns the command's.
func (c *Call) arguments() []any {
	if c.asText {
		return append([]any{"eval", c.script.text}, c.args[2:]...)
	}
	return c.args
}

// answer takes over what the command, and a TIME after it, came to.
func (c *Call) answer(cmd *command, now *redis.TimeCmd) {
	c.Value, c.Err = cmd.Val(), cmd.Err()
	if !c.timed {
		return
	}
	if errors.Is(c.Err, redis.Nil) { // a hook of the client may have wrapped it
		c.Value, c.Err = "", nil
	}
	c.Time = now.Val()
	err := now.Err()
	if err == nil && c.Time.IsZero() {
		err = errors.New("no answer") // a hook of the client sent nothing and returned no error
	}
	if err != nil && c.Err == nil {
		c.Err = fmt.Errorf("time: %w", err)
	}
}

// Do sends the calls in one round trip (one a node of a cluster) and returns when all are answered, or have
// failed: each call says which. It repeats what may be repeated. An error says that no answer came by the
// deadline or at all; then the calls must not be read, since the client may still be at work on them. It is
// ErrClosed after Shut.
func (w *Wire) Do(ctx context.Context, deadline time.Time, calls ...*Call) error {
	if !w.gate.enter() {
		return ErrClosed
	}
	defer w.gate.leave()
	pause := firstPause
	for attempt := 1; ; attempt++ {
		var err error
		if l := w.laneOf(calls, attempt); l != nil {
			err = l.send(ctx, deadline, calls)
		} else {
			err = w.roundTrip(ctx, deadline, calls)
		}
		if unknown := unknownScripts(calls, err); unknown != nil {
			err = w.roundTrip(ctx, deadline, unknown)
		}
		if w.cluster != nil && err == nil && calls[0].Err == nil {
			w.reached.Store(true)
		}
		if err != nil || !shouldRepeat(calls) || attempt == maxAttempts || time.Until(deadline) <= pause {
			return err
		}
		w.LookForServers(ctx) // a cluster client goes on dialling a dead master until then
		if !sleep(ctx, pause) {
			return nil // each call keeps the error of its last attempt
		}
		pause *= 2
		for _, c := range calls {
			c.Doubtful = c.Doubtful || mayHaveRun(c.Err)
		}
	}
}

// laneOf returns the lane that the calls may take; nil where they go by themselves. Only the first attempt may
// share a pipeline: a later one has little time left, which the others would share. On one server a call may take
// another one along.
func (w *Wire) laneOf(calls []*Call, attempt int) *lane {
	switch {
	case attempt > 1:
		return nil
	case w.masters != nil && len(calls) == 1:
		return w.masters.laneOf(calls[0].key)
	case w.masters == nil && len(calls) <= 2:
		return w.lane
	default:
		return nil
	}
}

// unknownScripts returns the calls whose script Redis does not know, to be sent as text.
func unknownScripts(calls []*Call, err error) (unknown []*Call) {
	if err != nil {
		return nil
	}
	for _, c := range calls {
		if c.script != nil && c.Err != nil && redis.HasErrorPrefix(c.Err, "NOSCRIPT") {
			c.asText = true
			unknown = append(unknown, c)
		}
	}
	return unknown
}

// Shut lets no further call in.
func (w *Wire) Shut() { w.gate.shut() }

// Close waits for the calls under way, until ctx ends.
func (w *Wire) Close(ctx context.Context) error {
	w.gate.shut()
	select {
	case <-w.gate.empty:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-w.gate.empty: // both were ready
		return nil
	default:
		return fmt.Errorf("calls still wait for the client: %w", ctx.Err())
	}
}
