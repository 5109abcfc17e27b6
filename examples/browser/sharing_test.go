package browser

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// What two people see of each other while both are there.

// told is how soon a page must show what has happened to a lock.
const told = 300 * time.Millisecond

func TestOpenAndRefuse(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, time.Minute)
		one, two := s.user("1").edit("a"), s.user("2").edit("a")
		one.until("an offer", func(v view) bool { return v.State == "free" && v.ReadOnly && v.offers("edit") })
		one.picture("free")

		one.click("edit")
		one.keys("Hello")
		one.until("what is typed", func(v view) bool { return v.Text == "Hello" && v.Unsaved })
		v := two.until("a refusal", is("denied"))
		if !strings.Contains(v.Sentence, "User 1") || v.offers("edit") || !v.ReadOnly {
			t.Errorf("the second user sees %v", v)
		}
		one.picture("held")
		two.picture("denied")

		one.click("save")
		one.until("the save", func(v view) bool { return v.State == "held" && !v.Unsaved })
		mark := two.mark()
		one.click("release")
		two.after(mark, "the lock to be free", is("free"))
		two.click("edit")
		two.until("the saved text", func(v view) bool { return typable(v) && v.Text == "Hello" })
		two.keys(", world")
		two.until("both texts", func(v view) bool { return v.Text == "Hello, world" })
	})
}

// laps are the times that something took again and again, on a machine that may stall for a moment.
type laps []time.Duration

func (l laps) check(t *testing.T, what string) {
	t.Helper()
	slices.Sort(l)
	t.Logf("%s: %v", what, l)
	if median := l[len(l)/2]; median > told {
		t.Errorf("%s: told after %v, want %v", what, median, told)
	}
}

func TestToldOfRelease(t *testing.T) {
	eachAlone(t, func(t *testing.T, name string) {
		s := start(t, name, time.Minute)
		one, two := s.user("1").edit("a"), s.user("2").edit("a")
		var took laps
		for range 3 {
			before := two.mark()
			one.click("edit")
			one.until("the lock", typable)
			two.after(before, "a refusal", is("denied"))
			s.idle("2", "/api/lock/a/")

			mark, requests := two.mark(), s.count()
			one.click("release")
			released := s.answered(requests, 1, of("1", "DELETE", "/api/lock/a/"))
			free := two.after(mark, "the lock to be free", is("free"))
			took = append(took, free.time().Sub(released.answered))
			two.until("an offer", func(v view) bool { return v.offers("edit") })
		}
		took.check(t, "free after a release")
	})
}

func TestTakeover(t *testing.T) {
	eachAlone(t, func(t *testing.T, name string) {
		s := start(t, name, time.Minute)
		pair := []*tab{s.user("1").edit("a"), s.user("2").edit("a")}
		pair[0].click("edit")
		pair[0].until("the lock", typable)
		var took laps
		for round := range 4 {
			holder, other := pair[round%2], pair[1-round%2]
			text := fmt.Sprintf("typed in round %d", round)
			holder.keys(text)
			holder.until("what is typed", func(v view) bool { return strings.HasSuffix(v.Text, text) && v.Unsaved })
			s.idle(holder.user.id, "/api/lock/a/")

			mark, requests := holder.mark(), s.count()
			other.click("take-over")
			taken := s.answered(requests, 1, of(other.user.id, "POST", "/takeover/"))
			lost := holder.after(mark, "the loss", is("lost"))
			took = append(took, lost.time().Sub(taken.answered))
			if !strings.Contains(lost.Reason, "taken") || !lost.ReadOnly {
				t.Errorf("the loser sees %v", lost)
			}
			other.until("the lock", typable)
			holder.has(text)
			holder.picture("lost-taken")
			holder.until("an offer", func(v view) bool { return v.offers("take-over") })
		}
		took.check(t, "lost after a takeover")
	})
}

// Keys that are pressed while the lock is taken away: what the editor took before is kept, in one piece. This lies between the page and its browser, so one framework is enough.
func TestTakeoverWhileTyping(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", time.Minute)
	one, two := s.user("1").edit("a"), s.user("2").edit("a")
	one.click("edit")
	one.until("the lock", typable)
	two.until("an offer", func(v view) bool { return v.offers("take-over") })

	const text = "The quick brown fox jumps over the lazy dog. "
	takeover := s.stop(of("2", "POST", "/takeover/"))
	two.click("take-over")
	takeover.await(t)
	one.keys(text[:10])
	mark := one.mark()
	takeover.open()
	one.press(text[10:])
	one.until("the loss", func(v view) bool { return v.State == "lost" && v.ReadOnly })
	taken := text[:10]
	one.each(mark, func(v view) {
		if !v.ReadOnly {
			taken = v.Text
		}
	})
	if len(taken) < 10 || !strings.HasPrefix(text, taken) {
		t.Errorf("pressed %q, the editor took %q", text, taken)
	}
	one.has(taken)
}

// The holder vanishes without a word: only the timeout ends the lock. A machine that stalls in that very
// moment gets another chance.
func TestExpiry(t *testing.T) {
	eachAlone(t, func(t *testing.T, name string) {
		s := start(t, name, 2*time.Second)
		first, two := s.user("1"), s.user("2").edit("a")
		for try := 1; ; try++ {
			mark := two.mark()
			one := first.edit("a")
			one.click("edit")
			one.until("the lock", typable)
			two.after(mark, "a refusal", is("denied"))
			mark = two.mark()
			one.kill()
			free := two.after(mark, "the lock to be free", is("free"))
			var last exchange
			for _, e := range s.list() {
				if e.user == "1" && e.method == "DELETE" {
					t.Errorf("a dead page sent %v", e)
				}
				if e.user == "1" && e.method == "POST" && e.status == http.StatusOK {
					last = e
				}
			}
			if early := last.arrived.Add(s.ttl).Sub(free.time()); early > 0 {
				t.Errorf("free %v before the timeout", early)
			}
			late := free.time().Sub(last.answered.Add(s.ttl))
			t.Logf("free %v after the timeout", late)
			if late <= time.Second {
				return
			}
			if try == 3 {
				t.Fatalf("told %d times too late", try)
			}
		}
	})
}

func TestListPage(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, time.Minute)
		list := s.user("2").open("/")
		shows := func(state, words string) func(view) bool {
			return func(v view) bool {
				d := v.Drafts["agenda"]
				return d.State == state && strings.Contains(d.Words, words) && v.Drafts["welcome"].State == "free"
			}
		}
		list.until("a free draft", shows("free", ""))
		one := s.user("1").edit("agenda")
		one.click("edit")
		one.until("the lock", typable)
		list.until("who edits it", shows("denied", "User 1"))
		list.picture("list")
		one.click("release")
		list.until("a free draft", shows("free", ""))

		own := list.user.edit("agenda")
		own.click("edit")
		list.until("one's own", shows("held", "You are editing in another tab"))
	})
}
