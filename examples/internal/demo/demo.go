// Package demo is what the examples share: a small draft editor, free of any framework. It starts
// and stops the process, keeps the drafts in Redis beside their locks, and has the page's files. What an
// example adds is its framework: the routes, the lock's guard, and who the caller is.
package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
)

// grace is how long requests under way may take after a signal. What is left of the five seconds in
// which the process ends is for closing the locker, which waits for one call at most.
const grace = 3 * time.Second

// App is what an example builds its server on.
type App struct {
	Locker *core.Locker
	// TTL of the locks, from LOCK_TTL.
	TTL time.Duration
	// Scope of the locks, from LOCK_SCOPE.
	Scope  core.Scope
	Drafts *Drafts
}

// Health answers GET /healthz. Why the locker is not ready is an event, and so in the log.
func (a *App) Health(ctx context.Context) Answer {
	status, health := http.StatusOK, "ok"
	if a.Locker.Ready(ctx) != nil {
		status, health = http.StatusServiceUnavailable, "unavailable"
	}
	return answerJSON(status, map[string]string{"status": health})
}

// Server is the example's server; *http.Server is one.
type Server interface {
	// Serve answers requests until Shutdown.
	Serve(net.Listener) error
	// Shutdown stops accepting and returns when the requests under way are answered, or with ctx.
	Shutdown(ctx context.Context) error
}

// Main runs the example's server until SIGINT or SIGTERM. An error is one line on standard error and
// exit code 1.
func Main(build func(*App) (Server, error)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	redis.SetLogger(quiet{})
	if err := Run(ctx, os.Stdout, build); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", filepath.Base(os.Args[0]), oneLine(err))
		os.Exit(1)
	}
}

// quiet takes go-redis's own log. What it says of a failure comes back as an error as well, and is told there.
type quiet struct{}

func (quiet) Printf(ctx context.Context, format string, args ...any) {
	slog.DebugContext(ctx, fmt.Sprintf(format, args...))
}

func oneLine(err error) string { return strings.Join(strings.Split(err.Error(), "\n"), "; ") }

// Run reads the environment, serves until ctx ends, and shuts down: first the waits and the readiness, then the server,
// the locker and the Redis client. Once connections are accepted, it
// says where and on which Redis, in one line to out.
func Run(ctx context.Context, out io.Writer, build func(*App) (Server, error)) error {
	config, err := readConfig(os.Getenv)
	if err != nil {
		return err
	}
	store, err := openRedis(ctx)
	if ctx.Err() != nil && err != nil {
		return nil // stopped while Redis was asked: no fault
	}
	if err != nil {
		return err
	}
	defer store.close()
	locker, err := core.New(store.client, core.Options{})
	if err != nil {
		return err
	}
	defer closing("locker", locker.Close)

	server, err := build(&App{Locker: locker, TTL: config.ttl, Scope: config.scope, Drafts: NewDrafts(store.client)})
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp", config.addr)
	if err != nil {
		return fmt.Errorf("ADDR: %w", err)
	}
	listener := &listener{Listener: plain, open: map[net.Conn]struct{}{}}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(out, "listening on %s (redis: %s)\n", baseURL(plain.Addr()), store.name)

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	locker.EndWaits() // else a request that waits for a change would take the grace of the others
	last, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		slog.Warn("requests were still under way at the end", "error", err)
	}
	listener.closeAll()
	return nil
}

// closing reports an error that nobody can act on any more.
func closing(what string, close func() error) {
	if err := close(); err != nil {
		slog.Warn("closing the "+what, "error", err)
	}
}

// baseURL is where a browser on this machine finds the server.
func baseURL(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Port}
	}
	return "http://" + addr.String()
}
