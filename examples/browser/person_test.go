package browser

import (
	"context"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// person is a browser context with the cookie of one user. A new window takes Chromium a second, so a
// scenario hands its people on to the next one, each with a window that shows nothing. The next scenario
// has an origin of its own, hence a storage of its own.
type person struct {
	id      string
	context cdp.BrowserContextID
	spare   *window
}

// people are those whom no scenario needs at the moment.
type people struct {
	mu   sync.Mutex
	free map[string][]*person
}

func (p *people) take(id string) *person {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.free[id]
	if len(list) == 0 {
		return nil
	}
	p.free[id] = list[:len(list)-1]
	return list[len(list)-1]
}

func (p *people) give(one *person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free[one.id] = append(p.free[one.id], one)
}

// window is a tab of the browser. What it tells goes to the scenario's tab that is shown in it.
type window struct {
	ctx   context.Context
	close context.CancelFunc

	mu  sync.Mutex
	tab *tab
}

func newWindow(browser context.Context, in cdp.BrowserContextID, options ...chromedp.ContextOption) (*window, error) {
	w := &window{}
	w.ctx, w.close = chromedp.NewContext(browser,
		append(options, chromedp.WithExistingBrowserContext(in), chromedp.WithListener(w.listen))...)
	// Without a time limit, which would be the window's own.
	err := chromedp.Do(w.ctx, func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		for _, name := range []string{viewBinding, violationBinding} {
			if _, err := cdp.Call(ctx, t, runtime.AddBinding, runtime.AddBindingParams{Name: name}); err != nil {
				return chromedp.Void{}, err
			}
		}
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument,
			page.AddScriptToEvaluateOnNewDocumentParams{Source: recorder})
		return chromedp.Void{}, err
	})
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *window) listen(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tab != nil {
		w.tab.listen(event)
	}
}

func (w *window) show(tab *tab) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tab = tab
}

// user is a person in a scenario.
type user struct {
	*person
	t       *testing.T
	server  *server
	browser context.Context
	tabs    []*tab
}

// user brings somebody to the server.
func (s *server) user(id string) *user {
	t := s.t
	t.Helper()
	u := &user{t: t, server: s, browser: chromium(t), person: suite.people.take(id)}
	if u.person == nil {
		created, err := chromedp.CallBrowser(u.browser, target.CreateBrowserContext, target.CreateBrowserContextParams{})
		if err != nil {
			t.Fatal(err)
		}
		u.person = &person{id: id, context: created.BrowserContextID}
	}
	t.Cleanup(u.leave)
	return u
}

// leave empties one window for the next scenario and closes the others.
func (u *user) leave() {
	spare := u.spare
	for _, tab := range u.tabs {
		tab.judge()
		if spare == nil && !tab.worn && !u.t.Failed() {
			call(tab, page.Navigate, page.NavigateParams{URL: "about:blank"})
			spare = tab.window
			spare.show(nil)
		} else {
			tab.window.close()
		}
	}
	u.spare = spare
	if !u.t.Failed() {
		suite.people.give(u.person)
		return
	}
	_, err := chromedp.CallBrowser(u.browser, target.DisposeBrowserContext,
		target.DisposeBrowserContextParams{BrowserContextID: u.context})
	if err != nil {
		u.t.Logf("user %s: %v", u.id, err)
	}
}

// open opens the path in a window of its own, so that it is visible, or as the options say.
func (u *user) open(path string, options ...chromedp.ContextOption) *tab {
	u.t.Helper()
	w := u.spare
	u.spare = nil
	if w == nil || len(options) > 0 {
		var err error
		if w, err = newWindow(u.browser, u.context, options...); err != nil {
			u.t.Fatalf("user %s: %v", u.id, err)
		}
	}
	tab := newTab(u, w, path)
	w.show(tab)
	u.tabs = append(u.tabs, tab)
	call(tab, network.SetCookie, network.SetCookieParams{Name: "user_id", Value: u.id, URL: u.server.url})
	tab.visit(path)
	return tab
}

// edit opens the draft in the editor and waits until its page has looked who has the lock.
func (u *user) edit(uid string, options ...chromedp.ContextOption) *tab {
	u.t.Helper()
	tab := u.open("/drafts/"+uid, options...)
	tab.until("the first look", func(v view) bool { return v.State != "" && v.State != "loading" })
	return tab
}
