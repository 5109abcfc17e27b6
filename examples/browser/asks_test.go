package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/editlock/editlock/core/redistest"
)

// A user asks the holder to hand the lock over.

// atOnce is how soon the holder must see the ask, and how soon after the holder's click the other one can type.
const atOnce = time.Second

// asks lets the user of the tab ask, and waits until the page waits for the answer.
func (p *tab) asks(holder string) {
	p.t.Helper()
	p.until("both offers", func(v view) bool { return v.offers("ask") && v.offers("take-over") })
	p.click("ask")
	p.until("to be asking", func(v view) bool {
		return strings.HasPrefix(v.Advice, holder+" is told that you ask.") && v.offers("stop-asking") && v.offers("take-over")
	})
}

// asked waits until the holder's page shows who asks.
func (p *tab) asked(who string) {
	p.t.Helper()
	p.until("the request of "+who, func(v view) bool {
		return v.Request == who+" asks to edit." && typable(v) && v.offers("hand-over") && v.offers("not-now")
	})
}

// alone chooses the views of a holder whom nobody asks.
func alone(v view) bool { return typable(v) && v.Request == "" && !v.offers("hand-over") }

// Two people on two frameworks hand the lock over and back. A machine that stalls gets two more chances.
func TestHandOver(t *testing.T) {
	for _, names := range [][2]string{{"nethttp", "fiber"}, {"gin", "echo"}} {
		t.Run(names[0]+" and "+names[1], func(t *testing.T) {
			redis := redistest.Start(t)
			var pair [2]*tab
			for i, id := range []string{"Ann", "Ben"} {
				pair[i] = startOn(t, redis, names[i], time.Minute).user(id).edit("a")
			}
			pair[0].click("edit")
			pair[0].until("the lock", typable)
			text := ""
			for try := range 3 {
				text += fmt.Sprintf("typed in round %d. ", try)
				shown, editable := handOver(pair[try%2], pair[1-try%2], text)
				t.Logf("the ask shown after %v, the text editable %v after the click", shown, editable)
				if shown < atOnce && editable < atOnce {
					return
				}
			}
			t.Errorf("never editable within %v", atOnce)
		})
	}
}

// handOver lets one user type up to the text and the other one ask. It returns how long after the ask the holder's page
// showed it, and how long after the click on "Save and hand over" the other one could type.
func handOver(holder, other *tab, text string) (shown, editable time.Duration) {
	t := holder.t
	t.Helper()
	more := strings.TrimPrefix(text, holder.until("the lock", typable).Text)
	holder.keys(more)
	holder.until("what is typed", func(v view) bool { return v.Text == text && v.Unsaved })
	other.until("a refusal", is("denied"))
	other.picture("denied-may-ask")
	path, asker := "/api/lock/a/", other.user
	holder.user.server.idle(holder.user.id, path)
	mark, requests := holder.mark(), asker.server.count()
	other.asks(holder.user.id)
	ask := asker.server.answered(requests, 1, of(asker.id, "POST", "/ask/"))
	first := holder.after(mark, "the request", func(v view) bool { return v.Request != "" })
	other.picture("asking")
	holder.asked(asker.id)
	v := holder.until("it to be read out", func(v view) bool { return strings.Contains(v.Announced, "asks to edit.") })
	if v.Focus != "text" {
		t.Errorf("%s: the request has taken the focus: %v", holder.name, v)
	}
	holder.picture("asked")

	asker.server.idle(asker.id, path)
	from, to := holder.mark(), other.mark()
	holder.click("hand-over")
	clicked := holder.after(from, "the hand-over", func(v view) bool { return v.Request == "Handing over to "+asker.id+"." })
	if !clicked.ReadOnly {
		t.Errorf("%s: typable while it is handed over: %v", holder.name, clicked)
	}
	begun := other.after(to, "the text, to be typed into", func(v view) bool { return holding(text)(v) && v.Focus == "text" })
	other.until("a word of it", func(v view) bool { return v.Note == "It is your turn: you can type now." })
	other.do(chromedp.KeyEvent("!"))
	other.until("what is typed at once", func(v view) bool { return strings.Contains(v.Text, "!") && v.Unsaved })
	other.do(chromedp.KeyEvent("\b"))
	other.until("the text as it was", holding(text))
	v = holder.until("who has it now", func(v view) bool { return v.Sentence == asker.id+" has it now." })
	if !v.ReadOnly || v.Kept || v.Request != "" || v.Text != text {
		t.Errorf("%s: after it was handed over: %v", holder.name, v)
	}
	holder.picture("handed-over")
	holder.never(from, "lost", "free", "idle")
	return first.time().Sub(ask.answered), begun.time().Sub(clicked.time())
}

// What follows lies between the page and its browser, so one framework is enough.

// A save that fails ends the hand-over: nothing is lost, and the holder stays it.
func TestHandOverWithoutASave(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", time.Minute)
	ann, ben := s.user("Ann").begin("a"), s.user("Ben").edit("a")
	ann.allow(`status of 503 `)
	ben.asks("Ann")
	ann.asked("Ben")
	answer := s.refuse(http.StatusServiceUnavailable, of("Ann", "PUT", "/api/drafts/a"))
	ann.click("hand-over")
	ann.until("why not", func(v view) bool {
		return holding(typed)(v) && strings.HasPrefix(v.Request, "Ben asks to edit. Not handed over: your text is not saved.") &&
			strings.HasPrefix(v.Note, "Not saved:") && v.offers("hand-over")
	})
	ann.picture("not-handed-over")
	for _, e := range s.list() {
		if strings.HasSuffix(e.path, "/handover/") {
			t.Errorf("without a save: %v", e)
		}
	}
	answer()
	ann.save(typed)
	ann.until("the request alone", func(v view) bool { return v.Request == "Ben asks to edit." })

	// Of keys that are pressed after the click nothing is taken.
	ann.keys(", more")
	save := s.stop(of("Ann", "PUT", "/api/drafts/a"))
	ann.click("hand-over")
	save.await(t)
	ann.press("too late")
	save.open()
	ben.until("the text", holding(typed+", more"))
	ann.until("who has it now", func(v view) bool {
		return v.Sentence == "Ben has it now." && !v.Kept && v.Text == typed+", more"
	})
}

// Without an answer the page stays the holder's, and says what is not known.
func TestHandOverOffline(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", 3*time.Second)
	ann, ben := s.user("Ann").begin("a"), s.user("Ben").edit("a")
	ann.save(typed)
	ben.asks("Ann")
	ann.asked("Ben")
	ann.offline(false) // so that the request is one that can be cut off
	handover := s.stop(of("Ann", "POST", "/handover/"))
	ann.click("hand-over")
	handover.await(t)
	ann.offline(true)
	ann.until("what is not known", func(v view) bool {
		return typable(v) && strings.HasPrefix(v.Request, "Ben asks to edit. The server has not answered")
	})
	ann.keys(", more")
	ann.until("what is typed", holding(typed+", more"))
	handover.open()
	ben.until("the saved text", holding(typed))
	ann.offline(false)
	ann.until("that typing on has ended in a loss, and the text", func(v view) bool {
		return v.Sentence == "You have lost the lock: Ben is editing now." && v.KeptText == typed+", more" && v.Text == typed
	})
}

// forget ends the ask of the draft, as 30 seconds would.
func (s *server) forget(uid string) {
	s.t.Helper()
	client := s.redis.Client(s.t)
	forgotten, err := client.Eval(s.t.Context(), `
		local record = cjson.decode(redis.call('GET', KEYS[1]))
		if not record.ask then return 0 end
		record.ask['until'] = 1
		redis.call('SET', KEYS[1], cjson.encode(record), 'KEEPTTL')
		return 1`, []string{"editlock:{" + uid + "}"}).Int()
	if err != nil || forgotten != 1 {
		s.t.Fatalf("the ask was not remembered: %d, %v", forgotten, err)
	}
}

func TestNotNow(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", 3*time.Second)
	ann, ben, carl := s.user("Ann").begin("a"), s.user("Ben").edit("a"), s.user("Carl").edit("a")
	ben.asks("Ann")
	ann.asked("Ben")
	ann.click("not-now")
	ann.until("no request, and the focus in the text", func(v view) bool { return alone(v) && v.Focus == "text" })
	mark, requests := ann.mark(), s.count()

	// Somebody else asks, too.
	carl.click("ask")
	carl.until("to wait for the turn", func(v view) bool {
		return strings.HasPrefix(v.Advice, "Somebody else asked first.") && v.offers("stop-asking")
	})
	carl.picture("asking-second")
	s.answered(requests, 1, of("Ben", "POST", "/ask/")) // which goes on
	s.answered(s.count(), 2, of("Ann", "POST", "/api/lock/a/"))
	ann.each(mark, func(v view) {
		if v.Request != "" {
			t.Errorf("after \"Not now\": %v", v)
		}
	})

	// Ben leaves: it is Carl's turn to ask.
	ben.close()
	s.forget("a")
	ann.asked("Carl")
	carl.until("to be asking", func(v view) bool { return strings.HasPrefix(v.Advice, "Ann is told that you ask.") })

	// Carl asks no longer.
	carl.click("stop-asking")
	carl.until("the offer to ask", func(v view) bool { return v.State == "denied" && v.offers("ask") && !v.offers("stop-asking") })
	requests = s.count()
	s.forget("a")
	ann.until("no request", alone)
	ann.has(typed)
	s.answered(s.count(), 2, of("Ann", "POST", "/api/lock/a/"))
	for _, e := range s.list()[requests:] {
		if strings.HasSuffix(e.path, "/ask/") {
			t.Errorf("asked after the end: %v", e)
		}
	}
}

// The asker leaves without a word, and asks no more: the page of the holder learns of the end.
func TestAskerLeaves(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", 3*time.Second)
	ann, ben := s.user("Ann").begin("a"), s.user("Ben").edit("a")
	ben.asks("Ann")
	ann.asked("Ben")
	ben.visit("/")
	ben.until("the list", func(v view) bool { return v.Path == "/" && v.Drafts["agenda"].State != "" })
	s.forget("a")
	ann.until("no request", alone)
	mark := ben.mark()
	ben.back()
	ben.until("the offer to ask", func(v view) bool { return v.State == "denied" && v.offers("ask") && !v.offers("stop-asking") })
	requests := s.count()
	s.answered(requests, 4, of("Ann", "POST", "/api/lock/a/")) // for longer than a page waits between two looks
	ben.each(mark+1, func(v view) {
		if v.Note != "" {
			t.Errorf("%s: back from the list: %v", ben.name, v)
		}
	})

	// "Save and hand over" comes too late: Ann stays the holder.
	ben.asks("Ann")
	ann.asked("Ben")
	ben.close()
	handover := s.stop(of("Ann", "POST", "/handover/"))
	ann.click("hand-over")
	handover.await(t)
	s.forget("a")
	handover.open()
	ann.until("to be the holder", func(v view) bool {
		return holding(typed)(v) && alone(v) && v.Note == "Nobody asks any longer. You are still editing."
	})
}

// The asker's own text from before is kept while another's comes into the editor.
func TestAskAfterALoss(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", time.Minute)
	ben, ann := s.user("Ben").begin("a"), s.user("Ann").edit("a")
	ann.click("take-over")
	ann.keys("by Ann")
	ben.until("the loss", func(v view) bool { return v.State == "lost" && v.offers("ask") && v.KeptText == typed })
	ben.asks("Ann")
	ann.asked("Ben")
	ann.click("hand-over")
	ben.until("both texts", func(v view) bool { return holding("by Ann")(v) && v.KeptText == typed })
}

func TestLastTyped(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", time.Minute)
	ben := s.user("Ben").edit("a")
	if v := ben.until("to be free", is("free")); v.LastTyped != "" {
		t.Errorf("of nobody: %v", v)
	}
	program := agent{s, "Ann", "program"}
	program.must(http.StatusOK, "POST", "/api/lock/a/", "")
	if v := ben.until("a refusal", is("denied")); v.LastTyped != "" {
		t.Errorf("of a holder who does not say: %v", v)
	}
	program.must(http.StatusNoContent, "DELETE", "/api/lock/a/", "")
	ben.until("to be free", is("free"))

	// The page counts on by itself.
	idle := http.Header{"Lock-Session": {"idle"}, "Lock-Idle": {"298"}}
	if response := s.send("Ann", "POST", "/api/lock/a/", idle); response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	mark := ben.mark()
	for _, minutes := range []string{"4", "5"} {
		ben.until("how long ago", func(v view) bool { return v.LastTyped == "Ann last typed "+minutes+" minutes ago." })
	}
	ben.picture("last-typed")
	ben.each(mark, func(v view) {
		if v.State == "denied" && v.LastTyped == "" {
			t.Errorf("no word of it: %v", v)
		}
	})

	ben.click("take-over")
	ben.until("one's own", func(v view) bool { return typable(v) && v.LastTyped == "" })
	ben.user.server.user("Carl").edit("a").until("just now", func(v view) bool {
		return v.LastTyped == "Ben last typed just now."
	})
}

// Who asks and is away for long asks no more.
func TestAskOfAnIdlePage(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", 3*time.Second)
	ann, ben := s.user("Ann").begin("a"), s.user("Ben").edit("a")
	ben.asks("Ann")
	ben.advance(31 * time.Minute)
	ben.until("the end of the ask", func(v view) bool {
		return v.State == "denied" && v.offers("ask") && strings.HasPrefix(v.Note, "You ask no longer")
	})
	s.forget("a")
	ann.until("no request", alone)
}

// advance sets the page's clock on.
func (p *tab) advance(d time.Duration) {
	p.t.Helper()
	evaluate[chromedp.Void](p, fmt.Sprintf(`{ const { now } = Date; Date.now = () => now.call(Date) + %d; }`, d.Milliseconds()))
}

func TestIdleWarning(t *testing.T) {
	t.Parallel()
	s := start(t, "nethttp", 2*time.Second)
	ann := s.user("Ann").begin("a")
	warned := func(v view) bool {
		return holding(typed)(v) && strings.HasPrefix(v.Warning, "You have not typed for 29 minutes. Your lock is released in ")
	}
	unwarned := func(v view) bool { return holding(typed)(v) && v.Warning == "" && !v.offers("keep-editing") }
	ann.advance(29*time.Minute + time.Second)
	ann.until("the warning", warned)
	ann.until("it to be read out", func(v view) bool { return strings.Contains(v.Announced, "Your lock is released in") })
	ann.picture("idle-warning")
	ann.click("keep-editing")
	ann.until("no warning", unwarned)

	ann.advance(29*time.Minute + time.Second)
	ann.until("the warning", warned)
	ann.press(kb.ArrowLeft)
	ann.until("no warning", func(v view) bool { return typable(v) && v.Warning == "" })

	ann.advance(31 * time.Minute)
	ann.until("the release", func(v view) bool {
		return v.State == "released-idle" && v.Warning == "" && v.KeptText == typed && v.ReadOnly
	})
}
