package browser

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Pages that are hidden, frozen or cut off, and servers that do not answer.

// A hidden page's own timers stand still for a minute; the lock is kept all the same. This lies between the
// page and its browser, so one framework is enough.
func TestHidden(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", 3*time.Second)
	first := s.user("1")
	one, two := first.begin("a"), s.user("2").edit("a")
	two.until("a refusal", is("denied"))

	// Two more tabs in the same window: one to measure that timers do stand still, and one to cover both.
	other, behind := first.open("/", chromedp.WithNewWindow(false)), func(v view) bool { return v.Hidden }
	evaluate[chromedp.Void](other, `window.ticks = 0; const tick = () => { ticks += 1; setTimeout(tick, 100); }; tick();`)
	cover := first.open("/", chromedp.WithNewWindow(false))
	other.until("to be hidden", behind)
	one.until("to be hidden", behind)

	mark, renewals := two.mark(), of("1", "POST", "/api/lock/a/")
	for limit := time.Now().Add(patience); ; { // they tick once a second at first
		before := evaluate[int](other, `ticks`)
		s.answered(s.count(), 7, renewals) // for twice the timeout
		if evaluate[int](other, `ticks`) == before {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("timers are not throttled after %v", patience)
		}
	}
	two.never(mark, "free", "nobody", "idle")
	var last time.Time
	for _, e := range s.list() {
		if renewals(e) && e.status == http.StatusOK {
			if gap := e.arrived.Sub(last); !last.IsZero() && gap > s.ttl {
				t.Errorf("not renewed for %v", gap)
			}
			last = e.answered
		}
	}

	cover.close()
	other.close()
	one.until("to be visible", func(v view) bool { return !v.Hidden })
	one.until("the lock and the text", holding(typed))
	one.never(0, "denied", "lost")
}

// A frozen page runs nothing, like one on a sleeping machine: the lock expires.
func TestFrozen(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, 2*time.Second)
		one, two := s.user("1").begin("a"), s.user("2").edit("a")
		one.worn = true
		two.until("a refusal", is("denied"))
		freeze := func(state page.SetWebLifecycleStateState) {
			call(one, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: state})
		}

		// Nobody else was there meanwhile: it goes on.
		mark := two.mark()
		freeze(page.SetWebLifecycleStateStateFrozen)
		two.after(mark, "the lock to be free", is("free"))
		requests := s.count()
		freeze(page.SetWebLifecycleStateStateActive)
		call(one, page.BringToFront, cdp.Empty{})
		if e := s.answered(requests, 1, of("1", "POST", "/api/lock/a/")); e.status != 200 {
			t.Errorf("after waking: %v", e)
		}
		one.until("the lock and the text", holding(typed))
		two.until("a refusal", is("denied"))

		// Somebody else was.
		mark = two.mark()
		freeze(page.SetWebLifecycleStateStateFrozen)
		two.after(mark, "the lock to be free", is("free"))
		two.click("edit")
		two.until("the lock", typable)
		freeze(page.SetWebLifecycleStateStateActive)
		call(one, page.BringToFront, cdp.Empty{})
		v := one.until("the loss", is("lost"))
		if !v.ReadOnly {
			t.Errorf("it can still be typed into: %v", v)
		}
		one.has(typed)
	})
}

func (p *tab) offline(on bool) {
	p.t.Helper()
	p.allow(`net::ERR_INTERNET_DISCONNECTED`)
	call(p, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: on, DownloadThroughput: -1, UploadThroughput: -1})
	conditions := &network.Conditions{Offline: on, DownloadThroughput: -1, UploadThroughput: -1}
	call(p, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{conditions},
	})
}

// Without a network the page stays as it is, and typing goes on.
func TestOffline(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, 3*time.Second)
		one, two := s.user("1").begin("a"), s.user("2").edit("a")
		two.until("a refusal", is("denied"))

		one.offline(true)
		one.until("to be offline", func(v view) bool { return v.Online == "false" && v.State == "held" })
		one.keys(", more")
		one.until("what is typed", holding(typed+", more"))
		one.picture("offline")
		two.until("the expired lock", is("free"))
		one.click("save")
		one.until("a word that it is not saved", func(v view) bool { return v.Unsaved && v.Note != "" && typable(v) })

		one.offline(false)
		one.until("to be online", func(v view) bool { return v.Online == "true" && holding(typed+", more")(v) })
		two.until("a refusal", is("denied"))
		one.never(0, "denied", "lost")
		one.click("save")
		one.until("the save", func(v view) bool { return v.State == "held" && !v.Unsaved })

		// This time somebody else edits meanwhile.
		one.keys(", and more")
		one.offline(true)
		two.until("the expired lock", is("free"))
		two.click("edit")
		two.keys("by two. ")
		two.click("save")
		two.until("the save", func(v view) bool { return v.State == "held" && !v.Unsaved })
		one.offline(false)
		one.until("the loss", func(v view) bool { return v.State == "lost" && v.Online == "true" })
		one.has(typed + ", more, and more")
	})
}

// Redis does not answer: the page learns nothing, and loses nothing.
func TestStoreOutage(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, 3*time.Second)
		one, two := s.user("1").begin("a"), s.user("2").edit("a")
		two.until("a refusal", is("denied"))
		for _, tab := range []*tab{one, two} {
			tab.allow(`status of 503 `)
		}
		mark, requests := two.mark(), s.count()
		s.redis.Pause()
		s.answered(requests, 1, func(e exchange) bool {
			return of("1", "POST", "/api/lock/a/")(e) && e.status == http.StatusServiceUnavailable
		})
		one.until("to be offline", func(v view) bool { return v.Online == "false" && v.State == "held" })
		one.keys(", more")
		one.until("what is typed", holding(typed+", more"))
		one.click("save")
		one.until("a word that it is not saved", func(v view) bool { return v.Unsaved && v.Note != "" && typable(v) })
		s.redis.Resume()
		one.until("to be online", func(v view) bool { return v.Online == "true" && holding(typed+", more")(v) })
		one.never(0, "denied", "lost")
		one.click("save")
		one.until("the save", func(v view) bool { return v.State == "held" && !v.Unsaved })
		two.after(mark, "a refusal", func(v view) bool { return v.State == "denied" && v.Online == "true" })
	})
}

// A page whose lock has lapsed without its knowing cannot save over what somebody else wrote meanwhile.
func TestStaleSave(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		for _, test := range []struct {
			name   string
			status int
			again  bool // the user holds the lock again, in another tab
		}{{"while another edits", 423, false}, {"after another edited", 412, true}} {
			t.Run(test.name, func(t *testing.T) {
				s := start(t, name, 2*time.Second)
				first := s.user("1")
				one, two := first.begin("a"), s.user("2").edit("a")
				two.until("a refusal", is("denied"))
				one.allow(`status of 503 `)

				// What the first page asks about its lock gets no answer until it has tried to save.
				session := s.answered(0, 1, of("1", "POST", "/api/lock/a/")).header.Get("Lock-Session")
				answer := s.refuse(http.StatusServiceUnavailable, func(e exchange) bool {
					return of("1", "POST", "/api/lock/a/")(e) && e.header.Get("Lock-Session") == session
				})
				two.until("the expired lock", is("free"))
				two.click("edit")
				two.keys("newer")
				two.click("save")
				two.until("the save", func(v view) bool { return v.State == "held" && !v.Unsaved })
				requests := s.count()
				save := s.stop(of("1", "PUT", "/api/drafts/a"))
				one.click("save")
				save.await(t)
				if test.again {
					two.click("release")
					s.answered(requests, 1, of("2", "DELETE", "/api/lock/a/"))
					s.acquire("1", "a")
				}
				answer()
				save.open()
				if e := s.answered(requests, 1, of("1", "PUT", "/api/drafts/a")); e.status != test.status {
					t.Errorf("the stale save: %v", e)
				}
				one.until("the loss", func(v view) bool { return v.State == "lost" && v.ReadOnly })
				one.has(typed)
				one.picture(fmt.Sprintf("stale-%d", test.status))
				if text := s.text("a"); text != "newer" {
					t.Errorf("the draft is %q", text)
				}
			})
		}
	})
}
