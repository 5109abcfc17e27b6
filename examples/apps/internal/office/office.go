// Package office is what the four applications share, free of any framework and of HTTP's locks: the accounts and
// the drafts in a SQL database, the pages, and how the process starts and stops. What an application adds is its
// framework: sessions, routes, guards, and who the caller is.
package office

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

// grace is how long requests under way may take after a signal.
const grace = 5 * time.Second

// App is what an application builds its server on.
type App struct {
	Locker   *core.Locker
	Accounts *Accounts
	Drafts   *Drafts
	Metrics  http.Handler // for Prometheus: a proxy in front must not pass it on to the world
}

// LogOut ends all that the account holds, in every tab and on every device. It must not keep anybody from logging out: the
// Locker has logged an error, and the locks end by themselves.
func (a *App) LogOut(ctx context.Context, account Account) {
	if account.ID != 0 {
		_, _ = a.Locker.ReleaseUser(ctx, core.ID(account.ID))
	}
}

// Server is the application's server; *http.Server is one.
type Server interface {
	// Serve answers requests until Shutdown.
	Serve(net.Listener) error
	// Shutdown stops accepting and returns when the requests under way are answered, or with ctx.
	Shutdown(ctx context.Context) error
}

// Funcs make a Server.
type Funcs struct {
	Run func(net.Listener) error
	End func(context.Context) error
}

// Serve calls Run.
func (f Funcs) Serve(l net.Listener) error { return f.Run(l) }

// Shutdown calls End.
func (f Funcs) Shutdown(ctx context.Context) error { return f.End(ctx) }

// Main runs the application's server until SIGINT or SIGTERM.
func Main(newServer func(*App) (Server, error)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, os.Stdout, newServer); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
		os.Exit(1)
	}
}

// run opens Redis and the database, serves until ctx ends, and shuts down.
func run(ctx context.Context, out io.Writer, newServer func(*App) (Server, error)) (err error) {
	client, redisName, closeRedis, err := openRedis(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeRedis()) }()
	metrics, err := newMetrics()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, metrics.close()) }()
	options := metrics.options()
	options.IndexUsers = true // for LogOut
	locker, err := core.New(client, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, locker.Close()) }()
	if _, err := metrics.Observe(locker); err != nil { // close ends it
		return err
	}

	db, err := openDatabase(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	password, err := db.seed(ctx)
	if err != nil {
		return err
	}
	accounts, err := newAccounts(db.DB)
	if err != nil {
		return err
	}
	server, err := newServer(&App{Locker: locker, Accounts: accounts, Drafts: &Drafts{db.DB}, Metrics: metrics.handler})
	if err != nil {
		return err
	}

	addr := os.Getenv("ADDR")
	if addr == "" {
		addr = "127.0.0.1:8080"
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("ADDR: %w", err)
	}
	_, err = fmt.Fprintf(out, "listening on http://%s (redis: %s, database: %s)\nlog in as %s with the password %s\n",
		listener.Addr(), redisName, db.name, seededNames(), password)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return serve(ctx, server, listener, locker)
}

// serve answers requests until ctx ends. Then the waits end first: a request that waits for a change of hands would
// otherwise hold up Shutdown. The locker is closed last, by the caller, since requests under way need it.
func serve(ctx context.Context, server Server, listener net.Listener, locker *core.Locker) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	locker.EndWaits()
	last, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		slog.Warn("connections were still open at the end", "error", err)
	}
	return nil
}

// openRedis opens the Redis that REDIS_URL names, or starts one inside the process.
func openRedis(ctx context.Context) (client redis.UniversalClient, name string, closeAll func() error, err error) {
	client, err = core.Open(ctx)
	if err == nil {
		return client, "as REDIS_URL says", client.Close, nil
	}
	if !errors.Is(err, core.ErrNotConfigured) {
		return nil, "", nil, err
	}
	db := 0
	if text := os.Getenv(core.EnvDB); text != "" {
		if db, err = strconv.Atoi(text); err != nil {
			return nil, "", nil, fmt.Errorf("%s: %w", core.EnvDB, err)
		}
	}
	server, err := embedded.Start()
	if err != nil {
		return nil, "", nil, err
	}
	own := server.Client(db)
	return own, "embedded", func() error {
		defer server.Close()
		return own.Close()
	}, nil
}
