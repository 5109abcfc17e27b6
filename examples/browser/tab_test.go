package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

//go:embed recorder.js
var recorder string

// The functions that a page calls to reach the test.
const (
	viewBinding      = "editlockView"
	violationBinding = "editlockViolation"
)

// view is what a page shows, as recorder.js tells it. Words and texts are empty where they are not visible.
type view struct {
	At       float64 `json:"at"`      // milliseconds since 1970
	Showing  string  `json:"showing"` // which document, and which of its returns from the back-forward cache
	Path     string  `json:"path"`
	Hidden   bool    `json:"hidden"`
	State    string  `json:"state"`
	Reason   string  `json:"reason"`
	Online   string  `json:"online"`
	Sentence string  `json:"sentence"`
	Since    string  `json:"since"`
	Advice   string  `json:"advice"`
	OtherTab string  `json:"otherTab"`

	LastTyped string `json:"lastTyped"`
	Request   string `json:"request"`
	Warning   string `json:"warning"`

	Text      string `json:"text"`
	ReadOnly  bool   `json:"readOnly"`
	Focus     string `json:"focus"` // the id of the element that has it
	Unsaved   bool   `json:"unsaved"`
	Kept      bool   `json:"kept"`
	KeptText  string `json:"keptText"`
	KeptNewer string `json:"keptNewer"`

	Note      string           `json:"note"`
	Announced string           `json:"announced"`
	Offers    []string         `json:"offers"` // the ids of the buttons that can be pressed
	Drafts    map[string]draft `json:"drafts"`
}

type draft struct {
	State string `json:"state"`
	Words string `json:"words"`
}

func (v view) String() string {
	text, _ := json.Marshal(v)
	return string(text)
}

func (v view) time() time.Time { return time.UnixMicro(int64(v.At * 1000)) }

func (v view) offers(id string) bool { return slices.Contains(v.Offers, id) }

// is chooses the views in a state.
func is(state string) func(view) bool { return func(v view) bool { return v.State == state } }

// typable chooses the views in which the text can be edited.
func typable(v view) bool { return v.State == "held" && !v.ReadOnly }

// tab is one page of a user, and everything that it has shown.
type tab struct {
	t      *testing.T
	user   *user
	window *window
	name   string
	worn   bool // not to be handed on

	mu      sync.Mutex
	changed chan struct{} // closed at the next view
	views   []view
	stale   map[string]bool // showings that are over
	trouble []string        // what the console said
	allowed []*regexp.Regexp
	unused  []string // why the back-forward cache was not used
}

// A refusal of the contract is what the page works with; Chromium logs it all the same.
var refusals = regexp.MustCompile(`^log error network: .* the server responded with a status of (409|410|412|423) .*/api/`)

func newTab(u *user, w *window, path string) *tab {
	return &tab{
		t: u.t, user: u, window: w, name: fmt.Sprintf("user %s on %s", u.id, path),
		changed: make(chan struct{}), allowed: []*regexp.Regexp{refusals},
	}
}

// listen gets the events of the tab in their order.
func (p *tab) listen(event any) {
	switch event := event.(type) {
	case *runtime.EventBindingCalled:
		if event.Name == violationBinding {
			p.complain("content security policy: %s", event.Payload)
			return
		}
		var v view
		if err := json.Unmarshal([]byte(event.Payload), &v); err != nil {
			p.complain("a view: %v", err)
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.views = append(p.views, v)
		close(p.changed)
		p.changed = make(chan struct{})
	case *log.EventEntryAdded:
		if e := event.Entry; e.Level == log.EntryLevelError || e.Level == log.EntryLevelWarning {
			p.complain("log %s %s: %s %s", e.Level, e.Source, e.Text, e.URL)
		}
	case *runtime.EventExceptionThrown:
		d := event.ExceptionDetails
		what := d.Text
		if d.Exception != nil {
			what += " " + d.Exception.Description
		}
		p.complain("exception: %s", what)
	case *runtime.EventConsoleAPICalled:
		if event.Type == runtime.ConsoleAPICalledTypeError || event.Type == runtime.ConsoleAPICalledTypeWarning {
			var words []string
			for _, arg := range event.Args {
				words = append(words, string(arg.Value)+arg.Description)
			}
			p.complain("console %s: %s", event.Type, strings.Join(words, " "))
		}
	case *page.EventBackForwardCacheNotUsed:
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, e := range event.NotRestoredExplanations {
			p.unused = append(p.unused, fmt.Sprintf("%s (%s)", e.Reason, e.Type))
		}
	}
}

func (p *tab) complain(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = append(p.trouble, fmt.Sprintf(format, args...))
}

// allow announces what a scenario makes the console say.
func (p *tab) allow(pattern string) { p.allowed = append(p.allowed, regexp.MustCompile(pattern)) }

// judge fails the test on what the console said, and tells of a failed one what the page showed.
func (p *tab) judge() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.trouble {
		if !slices.ContainsFunc(p.allowed, func(r *regexp.Regexp) bool { return r.MatchString(line) }) {
			p.t.Errorf("%s: %s", p.name, line)
		}
	}
	if p.t.Failed() {
		for _, v := range p.views {
			p.t.Logf("%s at %s: %s", p.name, v.time().Format("05.000"), v)
		}
	}
}

func (p *tab) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.window.ctx, patience)
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := p.limited()
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// call runs a command of the protocol on the tab.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := p.limited()
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		p.t.Fatalf("%s: %s: %v", p.name, command.Method, err)
	}
	return result
}

// evaluate runs the expression in the page and waits for its promise.
func evaluate[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := p.limited()
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %s: %v", p.name, expression, err)
	}
	return result
}

// leave says that what the tab has shown so far is over.
func (p *tab) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stale = map[string]bool{}
	for _, v := range p.views {
		p.stale[v.Showing] = true
	}
}

func (p *tab) visit(path string) {
	p.t.Helper()
	p.leave()
	call(p, page.Navigate, page.NavigateParams{URL: p.user.server.url + path})
}

func (p *tab) reload() {
	p.t.Helper()
	p.leave()
	call(p, page.Reload, page.ReloadParams{})
}

// back goes back one page in the history.
func (p *tab) back() {
	p.t.Helper()
	p.leave()
	history := call(p, page.GetNavigationHistory, cdp.Empty{})
	entry := history.Entries[history.CurrentIndex-1]
	call(p, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: entry.ID})
}

// close closes the tab as people do, and waits until it is gone.
func (p *tab) close() {
	p.t.Helper()
	p.worn = true
	gone, err := chromedp.Detached(p.window.ctx)
	if err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	call(p, page.Close, cdp.Empty{})
	select {
	case <-gone:
	case <-time.After(patience):
		p.t.Fatalf("%s: still open after %v", p.name, patience)
	}
}

// kill ends the page's process: nothing more comes from it.
func (p *tab) kill() {
	p.t.Helper()
	p.worn = true
	ctx, cancel := p.limited()
	defer cancel()
	crashed := make(chan struct{})
	err := chromedp.Listen(ctx, func(event any) {
		if _, ok := event.(*inspector.EventTargetCrashed); ok {
			close(crashed)
		}
	})
	if err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	go func() { _, _ = chromedp.Call(ctx, page.Crash, cdp.Empty{}) }() // which is never answered
	select {
	case <-crashed:
	case <-ctx.Done():
		p.t.Fatalf("%s: still alive after %v", p.name, patience)
	}
}

// cached fails the test unless the view is that of the page before, back from the back-forward cache.
func (p *tab) cached(before, v view) {
	p.t.Helper()
	document, _, _ := strings.Cut(before.Showing, ".")
	if strings.HasPrefix(v.Showing, document+".") && v.Showing != before.Showing {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.t.Errorf("%s: not from the back-forward cache: %v", p.name, p.unused)
}

// click presses the button once it can be pressed.
func (p *tab) click(id string) {
	p.t.Helper()
	p.until("the button "+id, func(v view) bool { return v.offers(id) })
	middle := evaluate[[2]float64](p, `(() => {
		const button = document.getElementById("`+id+`");
		button.scrollIntoView({ block: "nearest" });
		const { x, y, width, height } = button.getBoundingClientRect();
		return [x + width / 2, y + height / 2];
	})()`)
	p.do(chromedp.MouseClickXY(middle[0], middle[1]))
}

// keys types at the end of the text, key by key.
func (p *tab) keys(text string) {
	p.t.Helper()
	p.until("an editor to type into", typable)
	p.press(text)
}

// press presses the keys whether the page takes them or not.
func (p *tab) press(text string) {
	p.t.Helper()
	evaluate[chromedp.Void](p, `document.getElementById("text").focus()`)
	p.do(chromedp.KeyEvent(text))
}

// mark is a place in the list of views.
func (p *tab) mark() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.views)
}

// until waits for a view of the present showing: the one that is there, or one that comes.
func (p *tab) until(what string, ok func(view) bool) view {
	p.t.Helper()
	return p.after(max(0, p.mark()-1), what, ok)
}

// after waits for the first such view at or after the mark.
func (p *tab) after(mark int, what string, ok func(view) bool) view {
	p.t.Helper()
	limit := time.After(patience)
	for {
		p.mu.Lock()
		for ; mark < len(p.views); mark++ {
			if v := p.views[mark]; !p.stale[v.Showing] && ok(v) {
				p.mu.Unlock()
				return v
			}
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-limit:
			p.t.Fatalf("%s: waited %v for %s", p.name, patience, what)
		}
	}
}

// each calls f for the views since the mark, the one at the mark included.
func (p *tab) each(mark int, f func(view)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.views[max(0, mark-1):] {
		f(v)
	}
}

// states lists the states that the banner has gone through since the mark.
func (p *tab) states(mark int) []string {
	var list []string
	p.each(mark, func(v view) { list = append(list, v.State) })
	return slices.Compact(list)
}

// never fails the test if the banner was in one of the states since the mark.
func (p *tab) never(mark int, states ...string) {
	p.t.Helper()
	for _, state := range p.states(mark) {
		if slices.Contains(states, state) {
			p.t.Errorf("%s: its states were %v", p.name, p.states(mark))
			return
		}
	}
}

// has fails the test unless what was typed is on the page: in the editor, or kept beside it.
func (p *tab) has(text string) {
	p.t.Helper()
	p.until("the text "+text, func(v view) bool {
		return strings.Contains(v.Text, text) || strings.Contains(v.KeptText, text)
	})
}
