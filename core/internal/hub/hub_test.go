package hub

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core/internal/record"
	"github.com/editlock/editlock/core/internal/wire"
)

const timeout = time.Second

var errDown = errors.New("redis is down")

// bench is a hub without a Redis: the test answers its looks and says what its subscription hears.
type bench struct {
	*Hub
	answer  atomic.Pointer[look]
	looks   chan []string // receives the keys of each look that begins
	reports chan error
	ears    *listener // without a connection: it hears what the test says
}

type look func(keys []string) ([]record.State, error)

// answers says how looks are answered from now on.
func (b *bench) answers(l look) { b.answer.Store(&l) }

func onBench(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := redis.NewClient(&redis.Options{
			Addr: "127.0.0.1:0", MaxRetries: -1, DialerRetries: 1,
			Dialer: func(context.Context, string, string) (net.Conn, error) {
				conn, other := net.Pipe()
				return conn, other.Close()
			},
		})
		defer client.Close()
		w, err := wire.New(client, timeout, false)
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{looks: make(chan []string, 10_000), reports: make(chan error, 100)}
		b.Hub = New(w, func(_ context.Context, keys []string) ([]record.State, error) {
			b.looks <- keys
			return (*b.answer.Load())(keys)
		}, func(_ context.Context, err error) { b.reports <- err })
		b.ears = &listener{hub: b.Hub, server: b.server(wire.Server{}), cancel: func() {}}
		defer func() {
			if err := b.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		test(t, b)
	})
}

// join joins and looks for the first time.
func (b *bench) join(t *testing.T, keys ...string) *Waiter {
	t.Helper()
	w := b.Join(keys)
	if _, err := w.First(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.began()
	return w
}

// announce lets the hub hear of a change.
func (b *bench) announce(key string) { b.listener(key).hear(&redis.Message{Channel: key}) }

// subscribed lets the hub hear that the subscription to the key stands.
func (b *bench) subscribed(key string) {
	b.listener(key).hear(&redis.Subscription{Kind: "subscribe", Channel: key})
}

// disconnected lets the hub lose the listener that has the key.
func (b *bench) disconnected(key string) {
	l := b.listener(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	l.loseTopics(func(*topic) bool { return true })
}

// listener returns the one that has the key, or gives it to the test's ears.
func (b *bench) listener(key string) *listener {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[key]
	if t.listener == nil {
		t.listener = b.ears
		b.ears.topics++
		delete(b.unheard, key)
	}
	return t.listener
}

// began returns how many looks have begun since it was last asked.
func (b *bench) began() int {
	synctest.Wait()
	n := len(b.looks)
	for range n {
		<-b.looks
	}
	return n
}

// told reports whether the waiter has been told something since it was last asked.
func told(w *Waiter) bool {
	synctest.Wait()
	select {
	case <-w.News():
		return true
	default:
		return false
	}
}

func free(keys []string) ([]record.State, error) { return make([]record.State, len(keys)), nil }

func locked(keys []string) ([]record.State, error) {
	states := make([]record.State, len(keys))
	for i := range states {
		states[i] = record.State{Locked: true, User: "1", Fence: 7, ExpiresIn: time.Hour}
	}
	return states, nil
}

func down([]string) ([]record.State, error) { return nil, errDown }

func TestNothingIsToldBeforeAllIsKnown(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(down)
		w := b.Join([]string{"a", "b"})
		if _, err := w.First(t.Context()); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		answer := make(chan struct{})
		b.answers(func(keys []string) ([]record.State, error) {
			if keys[0] == "b" {
				<-answer
			}
			return locked(keys)
		})
		time.Sleep(time.Second)
		if told(w) {
			seen, err := w.Take()
			t.Errorf("told %+v, %v while b is not known", seen, err)
		}
		close(answer)
		if !told(w) {
			t.Fatal("not told when both were known")
		}
		if seen, err := w.Take(); err != nil || !seen[0].State.Locked || !seen[1].State.Locked {
			t.Errorf("%+v, %v", seen, err)
		}
	})
}

func TestAWaiterThatWasToldOfAFailureIsToldWhatIsTrueAfterIt(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(down)
		w := b.Join([]string{"a"})
		if _, err := w.First(t.Context()); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		b.answers(free)
		time.Sleep(time.Second)
		if !told(w) {
			t.Fatal("after a first look that failed: not told that it is free")
		}
		if seen, err := w.Take(); err != nil || seen[0].State.Locked {
			t.Fatalf("%+v, %v", seen, err)
		}

		b.answers(down)
		b.announce("a")
		if !told(w) {
			t.Fatal("not told of the failure")
		}
		if _, err := w.Take(); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		b.answers(free)
		time.Sleep(time.Second)
		if !told(w) {
			t.Fatal("after a later look that failed: not told that it is still free")
		}
	})
}

func TestAFailureIsNotHiddenByAnotherResource(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(free)
		w := b.join(t, "a", "b")
		b.answers(func(keys []string) ([]record.State, error) {
			if keys[0] == "a" {
				return nil, errDown
			}
			return locked(keys)
		})
		b.announce("a")
		synctest.Wait()
		b.announce("b")
		if !told(w) {
			t.Fatal("not told")
		}
		if seen, err := w.Take(); !errors.Is(err, errDown) {
			t.Errorf("%+v, %v, want a's failure", seen, err)
		}
	})
}

// What was announced before the subscription stood is lost, so a look that began before says too little.
func TestALookUnderWayDoesNotPutOffTheLookAfterAReconnect(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]func([]string) ([]record.State, error){"it succeeds": locked, "it fails": down} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				b.answers(free)
				w := b.join(t, "a")
				defer w.Leave()
				answer := make(chan struct{})
				b.answers(func(keys []string) ([]record.State, error) {
					<-answer
					return outcome(keys)
				})
				for range 6 { // so that the next look after a failure would be late
					b.topics["a"].failures++
				}
				b.announce("a")
				b.began()
				b.subscribed("a")
				close(answer)
				b.began()
				time.Sleep(leastSpread)
				if b.began() == 0 {
					t.Errorf("no look within %v", leastSpread)
				}
			})
		})
	}
}

// A lock that was released and acquired again by the same user looks the same. Somebody may have waited for that moment.
func TestAnAnnouncementReachesWaitersThoughNothingHasChanged(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(locked)
		w := b.join(t, "a")
		b.announce("a")
		if !told(w) {
			t.Error("not told")
		}

		b.answers(down)
		b.announce("a")
		told(w)
		if _, err := w.Take(); !errors.Is(err, errDown) {
			t.Error(err)
		}
		b.answers(locked)
		time.Sleep(time.Second)
		if !told(w) {
			t.Error("not told after a look that failed")
		}

		// The look for the announcement is slower than a newcomer's own.
		answer := make(chan struct{})
		b.answers(func(keys []string) ([]record.State, error) {
			<-answer
			return locked(keys)
		})
		b.announce("a")
		b.began()
		b.answers(locked)
		b.join(t, "a")
		close(answer)
		if !told(w) {
			t.Error("not told after a look that was slower than another waiter's")
		}
	})
}

func TestWhatIsAnnouncedWhileALookIsUnderWayIsLookedAtOnceMore(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(free)
		w := b.join(t, "a")
		defer w.Leave()
		answer := make(chan struct{})
		b.answers(func(keys []string) ([]record.State, error) {
			<-answer
			return free(keys)
		})
		b.announce("a")
		b.began()
		b.announce("a")
		b.announce("a")
		if n := b.began(); n != 0 {
			t.Errorf("%d looks at a time besides the first", n)
		}
		close(answer)
		if n := b.began(); n != 1 {
			t.Errorf("%d looks after it, want 1", n)
		}
	})
}

func TestTroubleWithTheSubscriptionIsReportedOnceAnOutage(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(free)
		b.join(t, "a")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(b.reports); n != 1 {
			t.Fatalf("reported %d times, want once", n)
		}
		b.subscribed("a")
		b.disconnected("a")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(b.reports); n != 2 {
			t.Errorf("reported %d times, want twice", n)
		}
	})
}

func TestWhatAnotherLookHasToldMeanwhileIsNotToldAgain(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(locked)
		b.join(t, "a")
		w := b.Join([]string{"a"})
		b.announce("a")
		synctest.Wait()
		if _, err := w.First(t.Context()); err != nil {
			t.Fatal(err)
		}
		if told(w) {
			t.Error("told twice")
		}
	})
}

func TestAWaiterMayLeaveBeforeItLooks(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(free)
		b.Join([]string{"a"}).Leave()
		time.Sleep(2 * recheck)
		if n := b.began(); n != 0 {
			t.Errorf("%d looks, though nobody waits", n)
		}
	})
}

func TestALookPutsOffTheOneThatWasScheduledBefore(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(free)
		w := b.join(t, "a")
		defer w.Leave()
		time.Sleep(recheck / 2)
		b.announce("a")
		b.began()
		time.Sleep(recheck * 3 / 4)
		if n := b.began(); n != 0 {
			t.Errorf("%d looks sooner than %v after the last one", n, recheck)
		}
		time.Sleep(recheck / 4)
		if n := b.began(); n != 1 {
			t.Errorf("%d looks %v after the last one", n, recheck)
		}
	})
}

// A long poll asks again soon after its answer, and finds its topic subscribed.
func TestATopicStaysSubscribedAfterItsLastWaiter(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(free)
		b.join(t, "a").Leave()
		time.Sleep(vacantFor - time.Second)
		again := b.join(t, "a")
		time.Sleep(vacantFor)
		if b.topics["a"] == nil {
			t.Fatal("forgotten, though somebody waits again")
		}
		again.Leave()
		b.announce("a")
		if n := b.began(); n != 0 {
			t.Errorf("%d looks for nobody", n)
		}
		time.Sleep(vacantFor)
		synctest.Wait()
		if len(b.topics) != 0 || b.vacant != 0 || len(b.agenda.topics) != 0 || len(b.unheard) != 0 {
			t.Errorf("%d topics, %d of them vacant, %d on the agenda, %d without a listener are left",
				len(b.topics), b.vacant, len(b.agenda.topics), len(b.unheard))
		}
	})
}

func TestFewTopicsStayWithoutAWaiter(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(free)
		for i := range maxVacant + 100 {
			b.Join([]string{strconv.Itoa(i)}).Leave()
		}
		if len(b.topics) != maxVacant || len(b.agenda.topics) != maxVacant {
			t.Errorf("%d topics stay, %d are on the agenda", len(b.topics), len(b.agenda.topics))
		}
	})
}

// Waiters of many topics come and go in any order, also with a key twice.
func TestEachWaiterIsToldOfItsOwnTopicsWhenOthersLeave(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(free)
		waiters := make(map[int]*Waiter)
		keys := func(i int) []string {
			return []string{strconv.Itoa(i % 3), "all", strconv.Itoa(i % 5), "all"}
		}
		for i := range 30 {
			waiters[i] = b.join(t, keys(i)...)
		}
		for i := 0; i < 30; i += 2 {
			waiters[i*7%30].Leave()
			delete(waiters, i*7%30)
		}
		b.answers(locked)
		for i := range 5 {
			b.announce(strconv.Itoa(i))
			synctest.Wait()
			for j, w := range waiters {
				want := j%3 == i || j%5 == i
				if got := told(w); got != want {
					t.Errorf("the waiter for %v is told of %d: %v", keys(j), i, got)
				}
			}
		}
		for _, w := range waiters {
			w.Leave()
		}
		time.Sleep(2 * vacantFor)
		synctest.Wait()
		if len(b.topics) != 0 {
			t.Errorf("%d topics are left", len(b.topics))
		}
	})
}

func TestManyChangesAreLookedAtInBatches(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(free)
		keys := make([]string, 1000)
		for i := range keys {
			keys[i] = strconv.Itoa(i)
		}
		w := b.join(t, keys...)
		defer w.Leave()
		answer := make(chan struct{})
		b.answers(func(keys []string) ([]record.State, error) {
			<-answer
			return locked(keys)
		})
		for _, key := range keys {
			b.announce(key)
		}
		if n := b.began(); n != maxBatches {
			t.Errorf("%d looks at the same time", n)
		}
		close(answer)
		looks, seen := 0, 0
		synctest.Wait()
		for len(b.looks) > 0 {
			looks, seen = looks+1, seen+len(<-b.looks)
		}
		if want := len(keys) - maxBatches; looks > want/maxBatch+1 || seen != want {
			t.Errorf("%d looks at %d topics, want %d topics", looks, seen, want)
		}
		if !told(w) {
			t.Error("not told")
		}
		if seen, err := w.Take(); err != nil || !seen[0].State.Locked || !seen[999].State.Locked {
			t.Errorf("%v", err)
		}
	})
}

// After an outage the looks at many topics do not come at once, and a lock that ends meanwhile is looked at when it ends.
func TestLooksAfterAReconnectAreSpread(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.answers(func(keys []string) ([]record.State, error) {
			states, err := locked(keys)
			for i, key := range keys {
				if key == "soon" {
					states[i].ExpiresIn = 10 * time.Millisecond
				}
			}
			return states, err
		})
		const many = 20_000
		keys := make([]string, many, many+1)
		for i := range keys {
			keys[i] = strconv.Itoa(i)
		}
		w := b.join(t, append(keys, "soon")...)
		defer w.Leave()
		for key := range b.topics {
			b.listener(key)
		}
		for key := range b.topics {
			b.subscribed(key)
		}
		looked := make(map[string]int)
		look := func(d time.Duration) (n int) {
			time.Sleep(d)
			synctest.Wait()
			for len(b.looks) > 0 {
				for _, key := range <-b.looks {
					looked[key]++
					n++
				}
			}
			return n
		}
		look(20 * time.Millisecond)
		if looked["soon"] == 0 {
			t.Error("no look at the lock that ended")
		}
		for range 10 {
			if n := look(100 * time.Millisecond); n > 2*many/10 {
				t.Errorf("%d looks within 100 ms", n)
			}
		}
		look(spread(many))
		if len(looked) != many+1 {
			t.Errorf("%d of %d looked at", len(looked), many+1)
		}
	})
}

func TestWhoWaitsIsToldWhenAnAskIsOver(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		const remembered = 10 * time.Second
		asked := func(by *record.Asker) look {
			return func(keys []string) ([]record.State, error) {
				states, err := locked(keys)
				states[0].Asker = by
				return states, err
			}
		}
		b.answers(asked(&record.Asker{User: "2", Name: "Ben", For: remembered}))
		w := b.join(t, "a")
		defer w.Leave()
		told(w)
		b.answers(asked(nil))
		time.Sleep(remembered - time.Millisecond)
		if b.began() != 0 || told(w) {
			t.Error("a look before the ask is over")
		}
		time.Sleep(time.Millisecond)
		if n := b.began(); n != 1 || !told(w) {
			t.Errorf("%d looks when the ask is over, or nobody was told", n)
		}
	})
}
