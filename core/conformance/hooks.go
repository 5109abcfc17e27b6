package conformance

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/rest"
)

var hookCases = group{"hooks", []testCase{
	{"Authorize is asked for everything but a release", everywhere, authorize},
	{"Reveal hides the holder everywhere", everywhere, reveal},
	{"Error rewrites a refusal", everywhere, rewriteRefusal},
	{"FrameworkErrors hands a refusal to the framework", everywhere, frameworkErrors},
	{"Tenant keeps the locks of one uid apart", everywhere, tenants},
	{"a tenant that is not valid is refused", everywhere, badTenants},
}}

func authorize(b *trial) {
	var asked int
	s := b.serve(func(app *App) {
		app.TakeOver = everyoneMay
		app.Authorize = func(user core.User, uids ...string) error {
			asked++
			if uids[0] == "secret" && !isUser(user, "2") {
				return errors.New("not for you")
			}
			return nil
		}
	})
	ann, bob := s.as("1"), s.as("2")
	bob.do("POST", s.lock("secret")).want(granted(hold{uid: "secret", user: "2"}))
	for _, method := range []string{"POST", "GET", "HEAD"} {
		ann.do(method, s.lock("secret")).want(forbidden)
	}
	ann.post(s.takeover("secret"), fenceBody(b.fence("f"))).want(forbidden)
	ann.do("GET", s.bulk("uid=secret")).want(forbidden)
	for _, path := range []string{"/drafts/", "/auto/", "/open/", "/still/"} {
		ann.do("PUT", s.base()+path+"secret").want(forbidden)
	}
	ann.do("POST", s.base()+"/drafts/secret/publish").want(forbidden)
	s.ranTimes(0)
	ann.do("GET", s.base()+"/drafts/secret").passed(ranWithout("GET"))
	asked = 0
	ann.do("DELETE", s.lock("secret")).want(noContent)
	ann.do("DELETE", s.lock("secret"), session("tab")).want(noContent)
	if asked > 0 {
		b.Fatal("the hook was asked about a release")
	}
	bob.do("GET", s.lock("secret")).want(status(hold{uid: "secret", user: "2", mine: true}.object(), "a"))
	ann.do("POST", s.lock("draft")).want(granted(hold{fence: "f2"}))
}

func reveal(b *trial) {
	var shown []core.Status
	var named []core.User // in the errors of refusals
	s := b.serve(func(app *App) {
		app.TakeOver = everyoneMay
		app.Reveal = func(user core.User, held core.Status) bool {
			shown = append(shown, held)
			return isUser(user, "3")
		}
		app.Error = func(r *rest.Response) { // an application may well show whom an error names
			var locked *core.ResourceLocked
			var conflict *core.TakeoverConflict
			switch {
			case errors.As(r.Err, &locked):
				named = append(named, locked.User)
			case errors.As(r.Err, &conflict):
				named = append(named, conflict.User)
			}
		}
	})
	ann, bob, cat := s.as("1", "Ann"), s.as("2"), s.as("3")
	at := s.lock("draft")
	ann.do("POST", at, session("tab")).want(granted(hold{sessions: 1}))
	hidden := hold{user: "null", sessions: 1, canTakeOver: true}
	bob.do("POST", at).want(inUse(hidden))
	bob.do("POST", at, ifMatch(1)).want(inUse(hidden))
	bob.do("GET", at).want(status(hidden.object(), "bob"))
	bob.do("GET", s.bulk("uid=draft")).want(bulk("bob's bulk", hidden.object()))
	bob.post(s.takeover("draft"), fenceBody(1)).want(document(409, hidden.object()))
	bob.do("PUT", s.base()+"/drafts/draft").want(inUse(hidden))
	bob.do("PUT", s.base()+"/auto/draft").want(inUse(hidden))
	bob.do("POST", s.base()+"/drafts/draft/publish").want(inUse(hidden))
	bob.do("PUT", s.base()+"/several", resources("draft")).want(strings.TrimSuffix(inUse(hidden), "}") + `,"uid":"draft"}`)
	if len(named) != 7 || slices.ContainsFunc(named, func(u core.User) bool { return u != core.User{} }) {
		b.Fatalf("the errors of the refusals name %+v", named)
	}
	// Who may see, sees; and so does the holder.
	shownTo := hold{name: `"Ann"`, sessions: 1, canTakeOver: true}
	cat.do("POST", at).want(inUse(shownTo))
	cat.do("GET", at).want(status(shownTo.object(), "cat"))
	b.differ("bob", "cat")
	ann.do("GET", at).want(status(hold{name: `"Ann"`, sessions: 1, mine: true}.object(), "ann"))
	for _, held := range shown {
		if held.UID != "draft" || !held.Locked || held.User.Name != "Ann" || held.Fence != b.fence("f") {
			b.Fatalf("the hook was shown %+v", held)
		}
	}
	// Nobody is hidden where nobody is.
	bob.do("GET", s.lock("other")).want(status(free("other", "null"), "other"))
}

// rewriteRefusal: the application's format replaces every part of a refusal, and why it was refused is an
// error that can be matched.
func rewriteRefusal(b *trial) {
	s := b.serve(func(app *App) {
		app.Authorize = func(_ core.User, uids ...string) error {
			if uids[0] == "secret" {
				return errSecret
			}
			return nil
		}
		app.Error = func(r *rest.Response) {
			if r.Status < 400 {
				b.Errorf("the hook was given a %d", r.Status)
			}
			why := "other"
			for err, name := range map[error]string{
				core.ErrResourceLocked: "locked", core.ErrNotHeld: "not held", core.ErrSessionEnded: "ended", core.ErrHoldLost: "lost",
				core.ErrInvalid: "invalid", core.ErrUnavailable: "unavailable", errSecret: "secret",
			} {
				if errors.Is(r.Err, err) {
					why = name
				}
			}
			r.Header = []rest.Field{{Name: "Content-Type", Value: "application/problem+json"}, {Name: "X-Was", Value: http.StatusText(r.Status)}}
			r.Body = []byte(`{"title":"` + why + `"}` + "\n")
			r.Status = http.StatusConflict
		}
	})
	ann, bob := s.as("1"), s.as("2")
	problem := func(was, why string) string {
		return "409\nContent-Type: application/problem+json\nX-Was: " + was + "\n\n" + `{"title":"` + why + `"}` + "\n"
	}
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{})) // no refusal
	bob.do("POST", at).want(problem("Locked", "locked"))
	bob.do("PUT", s.base()+"/drafts/draft").want(problem("Locked", "locked"))
	bob.do("PUT", s.base()+"/drafts/other").want(problem("Locked", "not held"))
	ann.do("DELETE", at, session("tab")).want(noContent)
	ann.do("POST", at, session("tab")).want(problem("Gone", "ended"))
	ann.do("POST", at, ifMatch(1)).want(problem("Precondition Failed", "lost"))
	ann.do("POST", s.lock("%20")).want(problem("Bad Request", "invalid"))
	ann.do("PUT", s.base()+"/drafts/%20").want(problem("Bad Request", "invalid"))
	ann.do("POST", s.lock("secret")).want(problem("Forbidden", "secret"))
	ann.do("PUT", s.lock("draft")).want(problem("Method Not Allowed", "other"))
	ann.do("HEAD", s.lock("%20")).want(problem("Bad Request", "invalid"))
	s.anonymous().do("GET", at).want(problem("Unauthorized", "invalid"))
	ann.do("GET", at, "If-None-Match: *").want(notModified("a", 60000)) // no refusal
	s.ranTimes(0)
}

// frameworkErrors: the error handler decides the body, once, and finds the reason; status and headers are the contract's.
func frameworkErrors(b *trial) {
	b.needs(FrameworkErrors)
	s := b.serve(func(app *App) {
		app.FrameworkErrors = true
		app.Authorize = func(_ core.User, uids ...string) error {
			if uids[0] == "secret" {
				return errSecret
			}
			return nil
		}
		app.OnError = func(err error) (int, string) {
			var status interface{ StatusCode() int }
			var locked *core.ResourceLocked
			switch {
			case !errors.As(err, &status):
				return http.StatusTeapot, "no status: " + err.Error()
			case errors.As(err, &locked):
				return status.StatusCode(), "locked by " + locked.User.ID.String()
			case errors.Is(err, core.ErrNotHeld):
				return status.StatusCode(), "not held"
			case errors.Is(err, core.ErrHoldLost):
				return status.StatusCode(), "lost"
			case errors.Is(err, core.ErrInvalid):
				return status.StatusCode(), "invalid"
			case errors.Is(err, errSecret):
				return status.StatusCode(), "secret"
			default:
				return status.StatusCode(), "other"
			}
		}
	})
	ann, bob := s.as("1"), s.as("2")
	text := func(block, body string) string {
		head, _, _ := strings.Cut(block, "\n\n")
		return strings.Replace(head, "application/json", "text/plain", 1) + "\n\n" + body
	}
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{})) // no refusal
	for _, refused := range []struct {
		answer      *answer
		block, body string
	}{
		{bob.do("POST", at), inUse(hold{}), "locked by 1"},
		{bob.do("PUT", s.base()+"/drafts/draft"), inUse(hold{}), "locked by 1"},
		{bob.do("PUT", s.base()+"/several", resources("draft")), inUse(hold{}), "locked by 1"},
		{bob.do("PUT", s.base()+"/drafts/other"), notYours, "not held"},
		{ann.do("POST", at, ifMatch(1)), moved("f"), "lost"},
		{ann.do("PUT", s.base()+"/drafts/%20"), bad(msgUID), "invalid"},
		{ann.do("POST", s.lock("%20")), bad(msgUID), "invalid"},
		{ann.do("POST", s.lock("secret")), forbidden, "secret"},
		{ann.do("PUT", at), methodNotAllowed("GET, HEAD, POST, DELETE"), "other"},
		{s.anonymous().do("PUT", s.base()+"/drafts/draft"), nobody, "invalid"},
	} {
		for i, f := range refused.answer.header {
			refused.answer.header[i].value, _, _ = strings.Cut(f.value, "; charset=")
		}
		refused.answer.want(text(refused.block, refused.body))
	}
	s.ranTimes(0)
	ann.do("GET", at, "If-None-Match: *").want(notModified("a", 60000)) // no refusal
	ann.do("PUT", s.base()+"/drafts/draft").passed(ran("PUT", hold{renewed: true}, ""))
	ann.do("DELETE", at).want(noContent)
}

var errSecret = errors.New("not for you")

func tenant(name string) string { return "X-Tenant: " + name }

func tenants(b *trial) {
	s := b.serve(func(app *App) {
		app.TakeOver = everyoneMay
		app.Tenant = func(header Header) string { return header("X-Tenant") }
	})
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	acme, other := tenant("acme"), tenant("acme/{draft}")
	ann.do("POST", at, acme).want(granted(hold{fence: "acme"}))
	bob.do("POST", at, other).want(granted(hold{user: "2", fence: "other"}))
	bob.do("POST", at, acme).want(inUse(hold{fence: "acme"}))

	bob.do("GET", at, acme).want(status(hold{fence: "acme", canTakeOver: true}.object(), "acme"))
	bob.do("GET", at, other).want(status(hold{user: "2", fence: "other", mine: true}.object(), "other"))
	bob.do("GET", s.bulk("uid=draft"), other).want(bulk("bulk", hold{user: "2", fence: "other", mine: true}.object()))
	bob.do("PUT", s.base()+"/drafts/draft", acme).want(inUse(hold{fence: "acme"}))
	bob.do("PUT", s.base()+"/drafts/draft", other).passed(ran("PUT", hold{user: "2", fence: "other", renewed: true}, ""))
	bob.post(s.takeover("draft"), fenceBody(b.fence("acme")+1), acme).want(document(409, hold{fence: "acme", canTakeOver: true}.object()))

	bob.do("DELETE", at, other).want(noContent)
	bob.do("GET", at, other).want(status(free("draft", "other"), "other free"))
	bob.do("GET", at, acme).want(status(hold{fence: "acme", canTakeOver: true}.object(), "acme"))
}

func badTenants(b *trial) {
	s := b.serve(func(app *App) { app.Tenant = func(header Header) string { return header("X-Tenant") } })
	ann := s.as("1")
	refused := bad("Tenant is not valid")
	for _, name := range []string{"", "\xff", strings.Repeat("a", 256)} {
		ann.do("POST", s.lock("draft"), tenant(name)).want(refused)
		ann.do("GET", s.bulk("uid=draft"), tenant(name)).want(refused)
		ann.do("PUT", s.base()+"/drafts/draft", tenant(name)).want(refused)
	}
	s.ranTimes(0)
	s.anonymous().do("POST", s.lock("draft"), tenant("")).want(nobody)
}
