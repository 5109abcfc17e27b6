package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Scope session: of a user's tabs and agents one has the lock.

const byAgent = "by the agent"

// elsewhere chooses the views that say that it is another tab or an agent of one's own.
func elsewhere(v view) bool {
	return strings.Contains(strings.ToLower(v.Sentence), "you are editing in another tab, or an agent of yours is") &&
		v.ReadOnly && v.offers("edit-here") && !v.offers("edit") && !v.offers("ask") && !v.offers("take-over")
}

func TestTabsApart(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, time.Minute, apart)
		first := s.user("1")
		one, other := first.begin("a"), first.edit("a")
		other.until("the hold elsewhere", func(v view) bool { return v.State == "elsewhere" && elsewhere(v) })
		other.picture("another-tab")

		// What was typed there is here, too, since the draft is still what it was typed into.
		other.click("edit-here")
		other.until("the lock and the text", func(v view) bool { return holding(typed)(v) && v.Unsaved && v.OtherTab == "" })
		one.until("what happened, and the text", func(v view) bool {
			return v.State == "lost" && elsewhere(v) && v.KeptText == typed && v.Text == ""
		})
		one.picture("lost-to-another-tab")
		other.keys(", more")
		other.save(typed + ", more")
		one.until("the newer text beside one's own", func(v view) bool {
			return v.Text == typed+", more" && v.KeptText == typed
		})

		// And back: there is nothing to be lost there.
		one.click("edit-here")
		one.until("the lock, the newer text and one's own", func(v view) bool {
			return holding(typed+", more")(v) && v.KeptText == typed
		})
		other.until("what happened", func(v view) bool { return v.State == "lost" && elsewhere(v) })
		one.keys(", in the first")
		one.save(typed + ", more, in the first")
		other.until("what the first tab saved", func(v view) bool { return v.Text == typed+", more, in the first" })
	})
}

// The lock goes to another tab while one hears nothing.
func TestMovedToAnotherTab(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", time.Minute, apart)
	first := s.user("1")
	one, other := first.begin("a"), first.edit("a")
	one.save(typed)
	one.keys(", kept")
	one.until("what is typed", holding(typed+", kept"))
	one.offline(true)
	other.click("edit-here")
	other.until("the lock", typable)
	other.keys(", changed")
	other.save(typed + ", kept, changed")
	one.offline(false)
	one.until("what happened, and the text", func(v view) bool {
		return v.State == "lost" && elsewhere(v) && v.KeptText == typed+", kept"
	})
}

// A page that comes back has a new session, and goes on where nobody has edited meanwhile.
func TestComeBackApart(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", time.Minute, apart)
	one := s.user("1").begin("a")
	one.reload()
	one.until("the lock and the text", func(v view) bool { return holding(typed)(v) && v.Unsaved })
	leave := func() {
		t.Helper()
		one.visit("/")
		one.until("the list", func(v view) bool { return v.Path == "/" && v.Drafts["agenda"].State != "" })
	}
	before := one.until("the page", typable)
	leave()
	mark := one.mark()
	one.back()
	one.after(mark, "to ask for the lock", is("loading"))
	one.cached(before, one.until("the lock and the text", func(v view) bool { return holding(typed)(v) && v.Unsaved }))
	one.keys(", more")
	one.save(typed + ", more")
	one.never(0, "lost", "denied")

	// Another tab saves meanwhile, and lets go.
	one.keys(", kept")
	before = one.until("what is typed", holding(typed+", more, kept"))
	leave()
	other := one.user.edit("a")
	other.until("the lock to be free", is("free"))
	other.click("edit")
	other.keys(", changed")
	other.save(typed + ", more, kept, changed")
	other.click("release")
	other.until("to be free", is("free"))
	one.back()
	one.yields(typed+", more, kept, changed", typed+", more, kept", savedByTab)
	one.cached(before, one.until("the page", typable))
}

// agent is a program that works for a user, past the browser.
type agent struct {
	s       *server
	user    string
	session string
}

func (a agent) send(method, path, body string) *http.Response {
	a.s.t.Helper()
	return a.s.sendBody(a.user, method, path, http.Header{"Lock-Session": {a.session}}, body)
}

// must fails the test unless the answer has the status.
func (a agent) must(status int, method, path, body string) {
	a.s.t.Helper()
	if response := a.send(method, path, body); response.StatusCode != status {
		a.s.t.Fatalf("the agent's %s %s: %s, want %d", method, path, response.Status, status)
	}
}

func (a agent) save(status int) {
	a.s.t.Helper()
	a.must(status, "PUT", "/api/drafts/a", `{"text":"`+byAgent+`"}`)
}

func TestAgentApart(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, time.Minute, apart)
		one, agent := s.user("1").begin("a"), agent{s, "1", "agent"}
		agent.save(http.StatusLocked)
		if got := s.text("a"); got != "" {
			t.Fatalf("beside the page, the agent has saved %q", got)
		}
		one.save(typed)
		one.click("release")
		one.until("to be free", func(v view) bool { return v.ReadOnly && v.offers("edit") })

		agent.must(http.StatusOK, "POST", "/api/lock/a/", "")
		one.until("the agent", elsewhere)
		one.picture("agent")
		agent.save(http.StatusOK)
		one.click("edit-here")
		one.until("what the agent saved", holding(byAgent))
		agent.save(http.StatusLocked)

		// The agent takes over from the page.
		one.keys(", and more")
		one.until("what is typed", func(v view) bool { return v.Text == byAgent+", and more" && v.Unsaved })
		agent.must(http.StatusOK, "POST", "/api/lock/a/takeover/", fmt.Sprintf(`{"fence":%d}`, s.status("a").Fence))
		one.until("what happened, and the text", func(v view) bool {
			return v.State == "lost" && elsewhere(v) && v.KeptText == byAgent+", and more"
		})
		agent.save(http.StatusOK)
	})
}

// In scope user the agent may save beside the page, which does not overwrite it silently.
func TestAgentTogether(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		s := start(t, name, time.Minute)
		one, agent := s.user("1").begin("a"), agent{s, "1", "agent"}
		agent.save(http.StatusOK)
		requests := s.count()
		one.click("save")
		if e := s.answered(requests, 1, of("1", "PUT", "/api/drafts/a")); e.status != http.StatusPreconditionFailed {
			t.Errorf("the page's save: %v", e)
		}
		one.yields(byAgent, typed, savedBySome)
		if got := s.text("a"); got != byAgent {
			t.Errorf("the draft is %q", got)
		}
	})
}
