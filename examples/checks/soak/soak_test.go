package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

const (
	users     = 200
	documents = 50
	// ttl is far longer than anybody keeps a lock, so that none ends by itself: what is let in twice is a fault.
	ttl = 5 * time.Minute
)

func TestSoak(t *testing.T) {
	duration := 5 * time.Second
	if text := os.Getenv("EDITLOCK_SOAK"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil || duration <= 0 {
			t.Fatalf("EDITLOCK_SOAK: %q is no duration", text)
		}
	}
	server := redistest.Start(t)
	for _, f := range frameworks {
		t.Run(f.name, func(t *testing.T) { soak(t, server, f, duration) })
	}
}

// document is what the application under load stores, and what the test knows of its lock.
type document struct {
	mu     sync.Mutex
	text   string
	fence  int64
	saves  int64        // that the handler carried out
	told   atomic.Int64 // saves that were answered 200
	inside atomic.Int64 // the user between acquire and release, plus one
	latest atomic.Int64 // fence of the latest holder
}

type figures struct {
	acquired, denied, saved, released, unavailable, kills atomic.Int64
}

func soak(t *testing.T, server *redistest.Server, f framework, duration time.Duration) {
	t.Helper()
	before := runtime.NumGoroutine()
	proxy := redistest.StartProxy(t, server.Addr)
	client := redis.NewClient(&redis.Options{Addr: proxy.Addr})
	locker, err := core.New(client, core.Options{
		Prefix: f.name + ":", Timeout: 5 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	fatal(t, err)
	drafts := make([]document, documents)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(t, err)
	stop := f.serve(t, listener, locker, func(lock *core.Lock, uid string, text []byte) int {
		d := &drafts[number(uid)]
		d.mu.Lock()
		defer d.mu.Unlock()
		if lock == nil || lock.UID != uid || lock.Fence < d.fence {
			return http.StatusConflict
		}
		d.text, d.fence = string(text), lock.Fence
		d.saves++
		return http.StatusOK
	})

	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	transport := &http.Transport{MaxIdleConnsPerHost: users}
	var did figures
	var work sync.WaitGroup
	work.Go(func() { kill(ctx, proxy, &did) })
	for user := range users {
		work.Go(func() {
			u := &editor{t: t, http: &http.Client{Transport: transport}, base: "http://" + listener.Addr().String(), user: user, did: &did}
			for ctx.Err() == nil {
				n := rand.IntN(documents)
				u.edit(&drafts[n], fmt.Sprintf("d%d", n))
			}
		})
	}
	work.Wait()

	for i := range drafts {
		if d := &drafts[i]; d.saves < d.told.Load() {
			t.Errorf("d%d: %d saves were answered 200, %d carried out", i, d.told.Load(), d.saves)
		}
	}
	transport.CloseIdleConnections()
	for what, err := range map[string]error{"server": stop(), "locker": locker.Close(), "client": client.Close()} {
		if err != nil {
			t.Errorf("close the %s: %v", what, err)
		}
	}
	if did.acquired.Load() == 0 || did.denied.Load() == 0 || did.saved.Load() == 0 || did.kills.Load() == 0 {
		t.Error("the load was none")
	}
	// The proxy, which ends with the test, has goroutines of its own.
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+10; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
	t.Logf("%d users, %d documents, %v: %d acquired, %d denied, %d saved, %d released, %d times 503, %d kills",
		users, documents, duration, did.acquired.Load(), did.denied.Load(), did.saved.Load(), did.released.Load(),
		did.unavailable.Load(), did.kills.Load())
}

// kill ends the connections to Redis, or loses replies, at random moments.
func kill(ctx context.Context, proxy *redistest.Proxy, did *figures) {
	for {
		timer := time.NewTimer(50*time.Millisecond + rand.N(200*time.Millisecond))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			proxy.DropReplies(0)
			return
		}
		did.kills.Add(1)
		if rand.IntN(2) == 0 {
			proxy.Reset()
		} else {
			proxy.DropReplies(1 + rand.IntN(5))
		}
	}
}

// editor is one user's page.
type editor struct {
	t    *testing.T
	http *http.Client
	base string
	user int
	did  *figures
}

// edit acquires, saves a few times and releases. Whatever Redis loses meanwhile, it lets go in the end.
func (e *editor) edit(d *document, uid string) {
	status, body := e.send("POST", "/api/lock/"+uid+"/", "", nil)
	switch status {
	case http.StatusOK:
		e.did.acquired.Add(1)
	case http.StatusLocked:
		e.did.denied.Add(1)
		return
	case http.StatusServiceUnavailable: // not known: it may hold the lock now
		e.release(uid)
		return
	default:
		e.t.Errorf("acquire: %d %s", status, body)
		return
	}
	var lock struct{ Fence int64 }
	if err := json.Unmarshal([]byte(body), &lock); err != nil {
		e.t.Errorf("acquire: %v in %s", err, body)
	}
	if !d.inside.CompareAndSwap(0, int64(e.user)+1) {
		e.t.Errorf("%s: user %d was let in while user %d is inside", uid, e.user, d.inside.Load()-1)
	}
	if latest := d.latest.Swap(lock.Fence); lock.Fence < latest {
		e.t.Errorf("%s: the fence fell from %d to %d", uid, latest, lock.Fence)
	}
	for i := range 1 + rand.IntN(3) {
		text := fmt.Sprintf("%d of user %d under %d", i, e.user, lock.Fence)
		switch status, body := e.send("PUT", "/drafts/"+uid, text, map[string]string{"Lock-Fence": fmt.Sprint(lock.Fence)}); status {
		case http.StatusOK:
			e.did.saved.Add(1)
			d.told.Add(1)
			d.mu.Lock()
			stored := d.text
			d.mu.Unlock()
			if stored != text {
				e.t.Errorf("%s: %q was saved, %q is stored", uid, text, stored)
			}
		case http.StatusServiceUnavailable: // the handler did not run
		default:
			e.t.Errorf("save: %d %s", status, body)
		}
	}
	d.inside.Store(0)
	e.release(uid)
}

func (e *editor) release(uid string) {
	for range 20 {
		switch status, body := e.send("DELETE", "/api/lock/"+uid+"/", "", nil); status {
		case http.StatusNoContent:
			e.did.released.Add(1)
			return
		case http.StatusServiceUnavailable:
		default:
			e.t.Errorf("release: %d %s", status, body)
			return
		}
	}
	e.t.Errorf("%s: 20 releases were answered 503", uid)
}

func (e *editor) send(method, path, body string, header map[string]string) (status int, answer string) {
	r, err := http.NewRequestWithContext(e.t.Context(), method, e.base+path, strings.NewReader(body))
	if err != nil {
		e.t.Error(err)
		return 0, ""
	}
	r.Header.Set("X-User-ID", fmt.Sprint("u", e.user))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	response, err := e.http.Do(r)
	if err != nil {
		e.t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		e.t.Error(err)
	}
	if response.StatusCode == http.StatusServiceUnavailable {
		e.did.unavailable.Add(1)
	}
	return response.StatusCode, string(text)
}

// number is the place of a document in the list.
func number(uid string) int {
	var n int
	if _, err := fmt.Sscanf(uid, "d%d", &n); err != nil {
		return 0
	}
	return n
}
