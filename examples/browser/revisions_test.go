package browser

import (
	"regexp"
	"testing"
	"time"
)

// Two tabs of one user, under one lock: what one has saved, the other does not overwrite.

const (
	byOther     = "typed in the other tab"
	savedByTab  = `^Your tab opened at .*\d:\d\d\b.* saved this draft since\. Your text is kept below\.$`
	savedBySome = `^Another tab, device or agent of yours saved this draft since\. Your text is kept below\.$`
)

// together opens the draft in two tabs of the user and types into both.
func (u *user) together(uid string) (one, other *tab) {
	u.t.Helper()
	one, other = u.begin(uid), u.edit(uid)
	other.click("edit")
	other.keys(byOther)
	other.until("what is typed", func(v view) bool { return holding(byOther)(v) && v.Unsaved })
	return one, other
}

// save saves the text, which must be what the editor holds.
func (p *tab) save(text string) {
	p.t.Helper()
	p.until("the text "+text, holding(text))
	p.click("save")
	p.until("the save", func(v view) bool { return holding(text)(v) && !v.Unsaved })
	if got := p.user.server.text("a"); got != text {
		p.t.Fatalf("%s: saved %q, the draft is %q", p.name, text, got)
	}
}

// yields waits until the page goes on from the newer text, keeps the other one, and says why.
func (p *tab) yields(newer, kept, why string) {
	p.t.Helper()
	words := regexp.MustCompile(why)
	v := p.until("the newer text, one's own below, and why", func(v view) bool {
		return holding(newer)(v) && v.KeptText == kept && v.KeptNewer == newer && words.MatchString(v.Note)
	})
	if v.Unsaved {
		p.t.Errorf("%s: %v", p.name, v)
	}
}

// nothingTyped chooses the views of an editor with just the text that is saved.
func nothingTyped(text string) func(view) bool {
	return func(v view) bool { return holding(text)(v) && !v.Unsaved && !v.Kept }
}

func TestTwoTabsSave(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, time.Minute)
		one, other := s.user("1").together("a")
		one.save(typed)
		other.click("save")
		other.yields(typed, byOther, savedByTab)
		other.picture("two-tabs-saved-since")
		if got := s.text("a"); got != typed {
			t.Errorf("the draft is %q", got)
		}

		// The other tab goes on from the newer text, and has its own at hand.
		other.keys(", and more")
		other.save(typed + ", and more")
		one.until("what the other tab saved, where nothing is typed", nothingTyped(typed+", and more"))
		other.click("kept-restore")
		other.save(byOther)
		other.until("nothing else to keep", func(v view) bool { return !v.Kept })

		// And so does the first.
		one.until("what the other tab saved", nothingTyped(byOther))
		one.keys(", in the first")
		other.keys(", in the other")
		other.save(byOther + ", in the other")
		one.click("save")
		one.yields(byOther+", in the other", byOther+", in the first", savedByTab)
		for _, tab := range []*tab{one, other} {
			tab.never(0, "denied", "lost")
		}
	})
}

// What follows lies between the page and its browser, so one framework is enough.

func TestSavedOnAnotherDevice(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", time.Minute)
	one := s.user("1").begin("a")
	elsewhere := func(text string) {
		evaluate[int](one, `fetch("/api/drafts/a", {
			method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text: "`+text+`" }),
		}).then(({ status }) => status)`)
	}
	elsewhere("newer")
	one.click("save")
	one.yields("newer", typed, savedBySome)

	// Nothing is typed: nothing is kept aside, and nothing is overwritten.
	one.click("kept-discard")
	elsewhere("still newer")
	one.click("save")
	one.until("the newer text, and why", func(v view) bool {
		return nothingTyped("still newer")(v) && v.Note == "Another tab, device or agent of yours saved this draft since."
	})

	// The text under what is typed was saved anew: that is no other version.
	one.keys(", more")
	elsewhere("still newer")
	one.save("still newer, more")
}

// The answer to a save is lost, and typing goes on: the page does not take its own save for another tab's.
func TestSaveWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		more string
	}{{"the same text again", ""}, {"a longer text", ", more"}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "nethttp", time.Minute)
			one := s.user("1").begin("a")
			one.offline(false) // so that the request is one that can be cut off
			save := s.stop(of("1", "PUT", "/api/drafts/a"))
			one.click("save")
			save.await(t)
			one.offline(true)
			one.until("a word that it is not saved", func(v view) bool { return v.Unsaved && v.Note != "" && typable(v) })
			requests := s.count()
			save.open()
			if e := s.answered(0, 1, of("1", "PUT", "/api/drafts/a")); e.status != 200 {
				t.Fatalf("the save that nobody hears of: %v", e)
			}
			one.offline(false)
			if test.more != "" {
				one.keys(test.more)
			}
			one.save(typed + test.more)
			if e := s.answered(requests, 1, of("1", "PUT", "/api/drafts/a")); e.status != 412 {
				t.Errorf("a save that goes on from the revision before: %v", e)
			}
			one.each(0, func(v view) {
				if v.Kept {
					t.Errorf("the page has yielded to its own save: %v", v)
				}
			})
		})
	}
}

// A save is on its way while the page is reloaded, and comes about after the new page has loaded the draft.
func TestReloadDuringASave(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", time.Minute)
	one := s.user("1").begin("a")
	save := s.stop(of("1", "PUT", "/api/drafts/a"))
	one.click("save")
	save.await(t)
	requests := s.count()
	one.reload()
	one.until("the lock and the text", holding(typed))
	s.answered(requests, 1, of("1", "GET", "/api/drafts/a"))
	save.open()
	if e := s.answered(0, 1, of("1", "PUT", "/api/drafts/a")); e.status != 200 {
		t.Fatalf("the save of the page before: %v", e)
	}
	one.keys(", more")
	one.save(typed + ", more")
}

// The other tab saves while a page that was typed into is reloaded, or lies in the back-forward cache.
func TestSavedWhileAway(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", time.Minute)
	one, other := s.user("1").together("a")
	one.save(typed)
	other.reload()
	other.yields(typed, byOther, savedByTab)

	other.keys(", again")
	before := other.until("what is typed", holding(typed+", again"))
	other.visit("/")
	other.until("the list", func(v view) bool { return v.Path == "/" && v.Drafts["agenda"].State != "" })
	one.keys(", in the first")
	one.save(typed + ", in the first")
	other.back()
	other.yields(typed+", in the first", typed+", again", savedByTab)
	other.cached(before, other.until("the page", typable))
}
