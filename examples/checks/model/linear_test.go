package model

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

// Linearizability: concurrent clients on a real redis-server, with faults, see no more than one sequence
// of operations under the contract. What the model permits is said in history_test.go. The rule of this
// file: a fault is tied to a number of operations, not to a time, so that it meets operations under way
// on a machine of any speed; what the clients do follows from a seed, which a failure prints.
//
// Of two kinds of histories, one has timeouts that never end while it lasts, so that nothing is open in
// it but the order. The other has timeouts of milliseconds, and its clients let time pass. Both are recorded
// of an engine that has scripts alone and sends each call by itself, and of one that reads plainly and
// batches. Each takes 5 to 10 seconds; -histories=N and -budget make it longer.
var (
	histories = flag.Int("histories", 40, "how many histories of each kind the tests of linearizability record")
	budget    = flag.Duration("budget", 10*time.Second, "when each test begins nothing new")
	firstSeed = flag.Uint64("seed", 0, "seed of the first history; 0 draws one")
)

var (
	ann = core.User{ID: core.ID(1), Name: "Ann"}
	bob = core.User{ID: core.ID("1"), Name: "Bob"}
	cy  = core.User{ID: core.ID("10"), Name: "Cy"} // whose id begins with Bob's
)

// persons are the clients of a history: a user and a page of theirs.
var persons = []struct {
	user    core.User
	session string
}{{ann, "a"}, {ann, "b"}, {bob, "a"}, {bob, ""}, {cy, ""}}

// script is what the clients of a history do.
type script struct {
	seed   uint64
	each   int // operations of a client
	ttls   []time.Duration
	pause  time.Duration // the longest that a client waits between two operations
	faults int
	spoils bool   // somebody spoils the record once, and mends it
	scopes []bool // of the operations: whether it is session
	alone  bool   // all are sessions of one user
}

// scopes of histories: user, session, and both at once.
var scopes = [][]bool{{false}, {true}, {false, true}}

// site is where histories are made: a server, and an engine that reaches it through a proxy.
type site struct {
	server   *redistest.Server
	proxy    *redistest.Proxy
	direct   *redis.Client
	locker   *core.Locker
	observer observer
	crowded  bool
	count    atomic.Int64 // of operations
}

// timeout is the time limit of the engine's calls: short, so that they give up while a server is stopped.
const timeout = 100 * time.Millisecond

// maxLost ends a history early, since each operation that may stand anywhere can double the search.
const maxLost = 8

// way is how an engine reaches Redis.
type way struct {
	name  string
	plain bool // it reads plainly, and batches
}

var ways = []way{{name: "scripts, each by itself"}, {name: "plain reads and batches", plain: true}}

// newSite starts a server; the hooks come between the observer and Redis.
func newSite(t *testing.T, way way, hooks ...redis.Hook) *site {
	t.Helper()
	s := &site{server: redistest.Start(t), crowded: way.plain}
	s.proxy = redistest.StartProxy(t, s.server.Addr)
	s.direct = s.server.Client(t)
	client := s.server.Client(t, func(o *redis.Options) {
		o.Addr, o.ContextTimeoutEnabled, o.DialerRetries = s.proxy.Addr, true, 1
	})
	client.AddHook(&s.observer)
	for _, hook := range hooks {
		client.AddHook(hook)
	}
	var reached core.Client = client
	if way.plain {
		s.proxy.Delay(time.Millisecond) // so that calls overlap
	} else {
		reached = struct{ core.Client }{client} // with a client that it does not know, the engine asks scripts
	}
	var err error
	s.locker, err = core.New(reached, core.Options{
		Timeout: timeout, NoBatching: !way.plain, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.locker.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// play records the history of a script.
func (s *site) play(t *testing.T, script script) []event {
	t.Helper()
	random := rand.New(rand.NewPCG(script.seed, 0))
	uid := fmt.Sprintf("draft-%d", script.seed)
	faults := map[int64]func(){}
	var healing sync.WaitGroup
	for range script.faults {
		faults[1+random.Int64N(int64(script.each*len(persons)))] = s.fault(t, random, &healing)
	}
	spoil := int64(-1)
	if script.spoils {
		spoil = 1 + random.Int64N(int64((script.each-1)*len(persons)))
	}
	if s.crowded {
		defer s.gather(t)()
	}
	var count, fence, lost atomic.Int64
	var mu sync.Mutex
	var history []event
	var clients sync.WaitGroup
	for client, person := range persons {
		random := rand.New(rand.NewPCG(script.seed, uint64(client+1)))
		clients.Go(func() {
			for range script.each {
				if lost.Load() >= maxLost {
					return
				}
				n := count.Add(1)
				if fault := faults[n]; fault != nil {
					fault()
				}
				if n == spoil || n == spoil+int64(len(persons)) {
					reach := Op{Kind: Spoil}
					if n > spoil {
						reach.Kind = Mend
					}
					e := s.reach(t, uid, client, reach)
					mu.Lock()
					history = append(history, e)
					mu.Unlock()
				}
				op := script.draw(random, fence.Load())
				op.User = person.user
				if script.alone {
					op.User = ann
				}
				if random.IntN(4) > 0 { // else for all of the user
					op.Session = person.session
				}
				if op.scoped() && op.Session == "" {
					op.Session = cmp.Or(person.session, "c")
				}
				seen, events := s.record(t, uid, client, op)
				if seen.Fence != 0 {
					fence.Store(seen.Fence)
				}
				for _, e := range events {
					if e.seen.Verdict == Unknown {
						lost.Add(1)
					}
				}
				mu.Lock()
				history = append(history, events...)
				mu.Unlock()
				if script.pause > 0 {
					time.Sleep(time.Duration(random.Int64N(int64(script.pause)))) // expiries are made of time that passes
				}
			}
		})
	}
	clients.Wait()
	healing.Wait()
	return history
}

// draw makes an operation of somebody who has last seen that fence somewhere.
func (script script) draw(random *rand.Rand, fence int64) Op {
	op := Op{Kind: Status, TTL: script.ttls[random.IntN(len(script.ttls))]}
	if fence == 0 {
		fence = 1
	}
	op.BySession = script.scopes[random.IntN(len(script.scopes))]
	if random.IntN(3) > 0 {
		op.IdleKnown, op.Idle = true, time.Duration(random.IntN(5))*time.Second
	}
	switch n := random.IntN(22); {
	case n < 5:
		op.Kind = Acquire
	case n < 7:
		op.Kind, op.Fence = Resume, fence
	case n < 9:
		op.Kind, op.Fence = TakeOver, fence
	case n < 11:
		op.Kind, op.Renew, op.IfFree = Check, random.IntN(2) == 0, random.IntN(2) == 0
		if random.IntN(3) == 0 {
			op.Fence = fence
		}
	case n < 14:
		op.Kind = Release
		if random.IntN(2) == 0 {
			op.Linger = script.ttls[random.IntN(len(script.ttls))]
		}
		if random.IntN(3) == 0 {
			op.Fence = fence
		}
	case n < 15:
		op.Kind, op.Fence = Break, fence
	case n < 18:
		op.Kind = Ask
	case n < 20:
		op.Kind, op.Fence = HandOver, fence
	}
	return op
}

// fault draws one. It strikes while other clients' operations are under way.
func (s *site) fault(t *testing.T, random *rand.Rand, healing *sync.WaitGroup) func() {
	t.Helper()
	switch n := random.IntN(4); n {
	case 0:
		return s.proxy.Reset
	case 1:
		drops := 1 + random.IntN(3)
		return func() { s.proxy.DropReplies(drops) }
	case 2:
		return func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := s.direct.ScriptFlush(ctx).Err(); err != nil {
				t.Error(err)
			}
		}
	default:
		// Half of the stops outlast the time limit of the calls.
		stop := time.Duration(random.Int64N(int64(2 * timeout)))
		return func() {
			s.server.Pause()
			healing.Add(1)
			time.AfterFunc(stop, func() {
				defer healing.Done()
				s.server.Resume()
			})
		}
	}
}

// tally counts what was seen in histories.
type tally struct {
	histories, operations int
	plain                 int // answers of plain reads
	verdicts              map[Verdict]int
	search                time.Duration
}

func (c *tally) add(events []event, search time.Duration) {
	if c.verdicts == nil {
		c.verdicts = map[Verdict]int{}
	}
	c.histories++
	c.search += search
	for _, e := range events {
		c.operations++
		if e.plain {
			c.plain++
		}
		c.verdicts[e.seen.Verdict]++
	}
}

func TestHistoriesWithoutExpiryAreLinearizable(t *testing.T) {
	testLinearizable(t, script{each: 12, ttls: []time.Duration{9 * time.Second, time.Hour}, faults: 3})
}

func TestHistoriesWithExpiryAreLinearizable(t *testing.T) {
	testLinearizable(t, script{each: 12, faults: 3, pause: 20 * time.Millisecond,
		ttls: []time.Duration{10 * time.Millisecond, 40 * time.Millisecond, 100 * time.Millisecond}})
}

func newSeed() uint64 {
	if *firstSeed != 0 {
		return *firstSeed
	}
	return uint64(time.Now().UnixNano())
}

func testLinearizable(t *testing.T, script script) {
	t.Helper()
	met := outcomes{}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) { testLinearizableBy(t, way, script, met) })
	}
	t.Logf("%v", met)
	met.requireWanted(t)
}

func testLinearizableBy(t *testing.T, way way, script script, met outcomes) {
	t.Helper()
	s := newSite(t, way)
	first := newSeed()
	var sum tally
	start, undecided := time.Now(), 0
	for i := range *histories {
		if time.Since(start) > *budget {
			break
		}
		script.seed = first + uint64(i)
		script.spoils, script.alone, script.scopes = i%4 == 3, i%8 == 6, scopes[i%len(scopes)]
		events := s.play(t, script)
		begin := time.Now()
		result, info := check(events)
		sum.add(events, time.Since(begin))
		for _, e := range events {
			met.add(e.op, e.seen)
		}
		switch result {
		case porcupine.Illegal:
			t.Fatalf("history of -seed %d\n%s", script.seed, explain(t, events, info))
		case porcupine.Unknown:
			undecided++
		}
	}
	batches := s.observer.batches.Load()
	t.Logf("%d histories, %d of them undecided; %d operations, %d answered by plain reads, %d batches: %v; the search took %v",
		sum.histories, undecided, sum.operations, sum.plain, batches, sum.verdicts, sum.search.Round(time.Millisecond))
	if way.plain != (batches > 0) || way.plain != (sum.plain > 0) {
		t.Errorf("%d batches of two calls and more, %d plain reads", batches, sum.plain)
	}
	if undecided > 1+sum.histories/10 {
		t.Errorf("%d of %d histories are undecided", undecided, sum.histories)
	}
}
