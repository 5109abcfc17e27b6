package hub

import (
	"container/heap"
	"strings"
	"time"

	"github.com/editlock/editlock/core/internal/record"
)

const (
	// vacantFor is how long a topic stays subscribed after its last waiter, so that the next long poll finds it so.
	vacantFor = 10 * time.Second
	// maxVacant bounds what those cost who ask for one resource after the other.
	maxVacant = 16384
)

// topic is a resource for which somebody waits, or did some seconds ago. The hub's mutex guards it.
type topic struct {
	key     string
	waiters []place

	state record.State  // what the latest look has seen
	at    time.Duration // when that was, since the hub began
	seen  int64         // the number of that look
	stood int64         // the looks up to this one began before the subscription stood
	due   time.Duration // when to look again, or to forget the topic
	entry int32         // its place in the agenda, from 1 on

	listener *listener
	failures uint8
	phase    phase
	known    bool // the latest look has seen the state
	again    bool // something came while looking
	// announced says that the next look's waiters are to be told, even if it shows no difference, and announcing that
	// those of the look under way are.
	announced, announcing bool
	heard                 bool // the listener hears its announcements
}

// phase says how far a look at a topic is.
type phase uint8

const (
	idle phase = iota
	queued
	looking
)

// place is one waiter of a topic.
type place struct {
	waiter *Waiter
	index  int32 // of the topic in waiter.topics
	awaits bool  // the waiter does not look before the topic is heard
}

// join adds a waiter, which has the topic at the index, and reports whether it awaits that the topic is heard.
func (t *topic) join(w *Waiter, index int) bool {
	awaits := !t.heard && t.listener != nil && !t.listener.server.troubled
	w.topics[index] = seat{t, int32(len(t.waiters))}              //nolint:gosec // fewer than 2^31 wait
	t.waiters = append(t.waiters, place{w, int32(index), awaits}) //nolint:gosec // as above
	return awaits
}

// leave takes the waiter at the position off.
func (t *topic) leave(position int32) {
	last := len(t.waiters) - 1
	moved := t.waiters[last]
	t.waiters[position] = moved
	moved.waiter.topics[moved.index].position = position
	t.waiters[last] = place{}
	t.waiters = t.waiters[:last]
}

// set takes over what a look has seen. The strings of a state are parts of a whole record, which is not to be kept.
func (t *topic) set(state record.State) {
	old := &t.state
	state.User, state.Name = kept(state.User, old.User), kept(state.Name, old.Name)
	state.Session = kept(state.Session, old.Session)
	if a := state.Asker; a != nil {
		state.Asker = &record.Asker{User: kept(a.User, ""), Name: kept(a.Name, ""), For: a.For}
	}
	t.state = state
}

// kept returns the text, as the old one if that is the same, else in memory of its own.
func kept[T ~string](text, old T) T {
	if text == old {
		return old
	}
	return T(strings.Clone(string(text)))
}

// differs reports whether the lock has changed hands between two states, or who asks for it. A renewal is no change.
func differs(a, b record.State) bool {
	return a.Locked != b.Locked || a.User != b.User || a.Name != b.Name || a.Fence != b.Fence ||
		!a.Asker.IsSame(b.Asker) || a.Malformed != b.Malformed
}

// agenda is when to look at which topic, the soonest first, with one timer for all. The hub's mutex guards it.
type agenda struct {
	topics []*topic
	timer  *time.Timer
	next   time.Duration // when the timer fires; 0 for never
	fire   func()
}

// put says when the topic is due, in place of what was said before.
func (a *agenda) put(t *topic, due, now time.Duration) {
	t.due = due
	if t.entry > 0 {
		heap.Fix((*byDue)(a), int(t.entry-1))
	} else {
		heap.Push((*byDue)(a), t)
	}
	a.rearm(now)
}

// drop takes the topic off.
func (a *agenda) drop(t *topic) {
	if t.entry > 0 {
		heap.Remove((*byDue)(a), int(t.entry-1))
	}
}

// pop takes off the first topic that is due, and returns nil where none is.
func (a *agenda) pop(now time.Duration) *topic {
	if len(a.topics) == 0 || a.topics[0].due > now {
		return nil
	}
	return heap.Pop((*byDue)(a)).(*topic)
}

// rearm lets the timer fire when the first topic is due.
func (a *agenda) rearm(now time.Duration) {
	if len(a.topics) == 0 || a.next != 0 && a.next <= a.topics[0].due {
		return
	}
	a.next = max(a.topics[0].due, 1)
	if a.timer == nil {
		a.timer = time.AfterFunc(a.next-now, a.fire)
	} else {
		a.timer.Reset(a.next - now)
	}
}

func (a *agenda) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// byDue is the agenda as a heap.
type byDue agenda

func (a *byDue) Len() int           { return len(a.topics) }
func (a *byDue) Less(i, j int) bool { return a.topics[i].due < a.topics[j].due }

func (a *byDue) Swap(i, j int) {
	a.topics[i], a.topics[j] = a.topics[j], a.topics[i]
	a.topics[i].entry, a.topics[j].entry = int32(i+1), int32(j+1) //nolint:gosec // fewer than 2^31 topics
}

func (a *byDue) Push(t any) {
	a.topics = append(a.topics, t.(*topic))
	a.topics[len(a.topics)-1].entry = int32(len(a.topics)) //nolint:gosec // as above
}

func (a *byDue) Pop() any {
	last := len(a.topics) - 1
	t := a.topics[last]
	a.topics[last] = nil
	a.topics = a.topics[:last]
	t.entry = 0
	return t
}
