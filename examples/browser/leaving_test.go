package browser

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Pages that are reloaded, closed, left and come back to.

const typed = "typed and not saved"

// begin lets the user edit the draft and type.
func (u *user) begin(uid string, options ...chromedp.ContextOption) *tab {
	u.t.Helper()
	tab := u.edit(uid, options...)
	tab.click("edit")
	tab.keys(typed)
	tab.until("what is typed", func(v view) bool { return v.Text == typed && v.Unsaved })
	return tab
}

func holding(text string) func(view) bool {
	return func(v view) bool { return typable(v) && v.Text == text }
}

// A reload keeps the lock and the text, and whoever waits sees nothing of it.
func TestReload(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, time.Minute)
		one, two := s.user("1").begin("a"), s.user("2").edit("a")
		two.until("a refusal", is("denied"))
		fence := s.status("a").Fence
		for range 3 {
			s.comeBack("1", "a", two, func() {
				one.reload()
				one.until("the lock and the text", func(v view) bool { return holding(typed)(v) && v.Unsaved })
			})
		}
		s.outlast("a")
		one.never(0, "denied", "lost")
		if lock := s.status("a"); lock.UserID != 1 || lock.Fence != fence {
			t.Errorf("the lock is %+v, was under fence %d", lock, fence)
		}
		one.click("save")
		one.until("the save", func(v view) bool { return v.State == "held" && !v.Unsaved })
	})
}

// The old page's release comes after the new page's acquire: it must not free the new page's lock.
func TestLateRelease(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, time.Minute)
		one, two := s.user("1").begin("a"), s.user("2").edit("a")
		two.until("a refusal", is("denied"))
		mark, requests := two.mark(), s.count()

		release := s.stop(of("1", "DELETE", "/api/lock/a/"))
		one.reload()
		release.await(t)
		s.answered(requests, 1, of("1", "POST", "/api/lock/a/"))
		one.until("the lock and the text", holding(typed))
		release.open()
		if e := s.answered(requests, 1, of("1", "DELETE", "/api/lock/a/")); e.status != 204 {
			t.Errorf("the late release: %v", e)
		}
		s.outlast("a")
		two.never(mark, "free", "nobody", "idle")
		one.never(0, "denied", "lost")
		one.has(typed)
	})
}

func TestClose(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, time.Minute)
		first := s.user("1")
		one, two := first.begin("a"), s.user("2").edit("a")
		two.until("a refusal", is("denied"))
		mark, requests := two.mark(), s.count()
		one.close()
		if e := s.answered(requests, 1, of("1", "DELETE", "/api/lock/a/")); e.status != 204 {
			t.Errorf("the release: %v", e)
		}
		two.after(mark, "the lock to be free", is("free"))
		two.click("edit")
		two.until("the lock", typable)
		two.click("release")

		again := first.edit("a") // what was typed is still in the browser
		again.has(typed)
		again.picture("kept")
	})
}

// A renewal is under way when the page is closed, and arrives after the release: it must not leave a lock.
func TestRenewalAfterClose(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, 3*time.Second)
		one, two := s.user("1").begin("a"), s.user("2").edit("a")
		two.until("a refusal", is("denied"))
		mark, requests := two.mark(), s.count()
		renewal := s.stop(of("1", "POST", "/api/lock/a/"))
		renewal.await(t)
		one.close()
		s.answered(requests, 1, of("1", "DELETE", "/api/lock/a/"))
		renewal.open()
		if e := s.answered(requests, 1, of("1", "POST", "/api/lock/a/")); e.status != 410 {
			t.Errorf("the late renewal: %v", e)
		}
		two.after(mark, "the lock to be free", is("free"))
		if lock := s.status("a"); lock.Locked {
			t.Errorf("an orphan: %+v", lock)
		}
	})
}

func TestBackForward(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, time.Minute)
		one, two := s.user("1").begin("a"), s.user("2").edit("a")
		two.until("a refusal", is("denied"))
		before := one.until("the page", typable)
		leave := func() {
			one.visit("/")
			one.until("the list", func(v view) bool { return v.Path == "/" && v.Drafts["agenda"].State != "" })
		}
		s.comeBack("1", "a", two, func() {
			leave()
			one.back()
			v := one.until("the lock and the text", holding(typed))
			one.cached(before, v)
			before = v
		})
		s.outlast("a")
		one.never(0, "denied", "lost")

		// Away for longer than the lock lingers, and somebody else edits.
		mark := two.mark()
		leave()
		two.after(mark, "the lock to be free", is("free"))
		two.click("edit")
		two.until("the lock", typable)
		one.back()
		v := one.until("the loss", func(v view) bool { return v.State == "lost" || v.State == "denied" })
		one.cached(before, v)
		one.has(typed)
		if !v.ReadOnly {
			t.Errorf("it can still be typed into: %v", v)
		}
	})
}

// Two tabs of one user hold the lock together; closing one leaves it to the other.
func TestTwoTabs(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, 12*time.Second)
		first := s.user("1")
		one, two := first.begin("a"), s.user("2").edit("a")
		two.until("a refusal", is("denied"))
		other := first.edit("a")
		other.until("the hold elsewhere", is("elsewhere"))
		other.click("edit")
		other.until("the lock, and a word about the other tab", func(v view) bool { return typable(v) && v.OtherTab != "" })
		one.until("a word about the other tab", func(v view) bool { return v.State == "held" && v.OtherTab != "" })

		other.picture("two-tabs")
		mark, requests := two.mark(), s.count()
		other.close()
		s.answered(requests, 1, of("1", "DELETE", "/api/lock/a/"))
		one.until("to be alone", func(v view) bool { return typable(v) && v.OtherTab == "" && v.Text == typed })
		s.outlast("a")
		two.never(mark, "free", "nobody", "idle")
		one.never(0, "denied", "lost")
	})
}
