package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// The variables that Open reads (README.md, Redis).
const (
	EnvURL = "REDIS_URL"
	EnvDB  = "REDIS_DB_MUTEX"
)

// Timeouts that keep one call within the engine's time limit, also when Redis hangs. Measured: with
// go-redis's defaults a stopped server holds a call for 5 to 24 s, with these for half a second.
const (
	networkTimeout = 500 * time.Millisecond
	openTimeout    = 5 * time.Second
)

// The client's own repeats are few: the engine repeats its calls itself, as long as their deadline allows.
const (
	dials, retries = 1, 1
	redirects      = 3 // after a slot has moved
	// stateReload is how old the client's view of a cluster may be. go-redis's default is a minute.
	stateReload = 2 * time.Second
)

// protocol is RESP2: nothing here needs RESP3, for which go-redis looks for push messages before every
// command and every reply.
const protocol = 2

// Open returns a client as the environment describes it, with timeouts fit for a lock:
//
//	REDIS_URL       redis://, rediss:// or unix://; ?addr=host:port for Cluster, ?master_name= for Sentinel
//	REDIS_DB_MUTEX  the database that holds the locks; overrides the one in REDIS_URL; 0 by default
//
// It asks Redis, so that a wrong database, password or address is an error at start. So is all without which the engine
// cannot work (see CheckServer): it must be Redis 6.2 or later, no replica, and have the rights. What weakens a lock, or
// lets waiters hear late, is a warning in slog.Default. The client is the caller's to close. Errors: ErrNotConfigured, ErrInvalid,
// ErrUnfit, ErrUnavailable.
func Open(ctx context.Context) (redis.UniversalClient, error) {
	db, err := parseDB(os.Getenv(EnvDB))
	if err != nil {
		return nil, err
	}
	address := os.Getenv(EnvURL)
	if address == "" {
		if db != noDB {
			slog.WarnContext(ctx, "editlock: "+EnvDB+" is set and has no effect, since "+EnvURL+" is not")
		}
		return nil, ErrNotConfigured
	}
	return open(ctx, address, db)
}

// OpenURL is Open with a URL in hand, instead of the environment.
func OpenURL(ctx context.Context, address string) (redis.UniversalClient, error) {
	return open(ctx, address, noDB)
}

// NewClient is Open without asking Redis anything: its client connects when it is first used. It is for a program that must
// start, or look for what is wrong, while Redis is down or unfit. address and db are as in REDIS_URL and REDIS_DB_MUTEX; db
// may be empty. Errors: ErrNotConfigured, ErrInvalid.
func NewClient(address, db string) (redis.UniversalClient, error) {
	number, err := parseDB(db)
	if err != nil {
		return nil, err
	}
	if address == "" {
		return nil, ErrNotConfigured
	}
	return parseURL(address, number)
}

func open(ctx context.Context, address string, db int) (redis.UniversalClient, error) {
	client, err := parseURL(address, db)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := greet(ctx, client); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	if err := probeAtStart(ctx, client); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

// greet asks Redis whether it is there and lets the client in.
func greet(ctx context.Context, client redis.UniversalClient) error {
	switch err := client.Ping(ctx).Err(); refusalOf(err) {
	case notRefused, noPermission, noCommand: // the engine needs no PING
		return nil
	case noAnswer, passing:
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, EnvURL, err)
	default:
		return fmt.Errorf("%w: %w", invalid(EnvURL, "Redis refuses its user, password or database (see %s)", EnvDB), err)
	}
}

// probeAtStart is CheckServer with the findings in the log. Another Prefix than the default is not known here: if the
// ACL refuses the default's keys, that is a warning.
func probeAtStart(ctx context.Context, client Client) error {
	findings := examine(ctx, client, defaultPrefix, false)
	for i, f := range findings {
		if f.Check == checkKeys {
			findings[i].Severity = SeverityWeak
		}
		if s := findings[i].Severity; s == SeverityWeak || s == SeverityLate {
			slog.WarnContext(ctx, "editlock: redis is not at its best for locks",
				"server", f.Server, "check", f.Check, "means", f.Means, "do", f.Remedy)
		}
	}
	return verdict(findings)
}

// noDB says that no database is named besides the URL's.
const noDB = -1

// parseDB reads REDIS_DB_MUTEX.
func parseDB(text string) (int, error) {
	if text == "" {
		return noDB, nil
	}
	db, err := strconv.Atoi(text)
	if err != nil || db < 0 {
		return 0, invalid(EnvDB, "%q is not the number of a database", text)
	}
	return db, nil
}

// parseURL makes the client without asking Redis; a db of 0 or more overrides the URL's. No error of it
// repeats the URL: it may hold a password.
func parseURL(address string, db int) (redis.UniversalClient, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, invalid(EnvURL, "not a URL")
	}
	switch u.Scheme {
	case "redis", "rediss", "unix":
	default:
		return nil, invalid(EnvURL, "it must begin with redis://, rediss:// or unix://, such as redis://localhost:6379")
	}
	if u.Scheme != "unix" && misreadPassword(u) {
		return nil, invalid(EnvURL, "an '@' after the host; is there a character in the password that must be escaped?")
	}
	query := u.Query()
	switch {
	case query.Get("master_name") != "":
		return sentinelClient(address, db)
	case query.Has("addr"):
		if path := strings.Trim(u.Path, "/"); db > 0 || (path != "" && path != "0") {
			return nil, invalid(EnvDB, "a Redis Cluster has only database 0")
		}
		return clusterClient(address)
	default:
		return singleClient(address, db)
	}
}

func singleClient(address string, db int) (redis.UniversalClient, error) {
	o, err := redis.ParseURL(address)
	if err != nil {
		return nil, invalid(EnvURL, "%v", err)
	}
	if o.DB, err = choose(db, o.DB); err != nil {
		return nil, err
	}
	o.ContextTimeoutEnabled, o.DialerRetries, o.MaxRetries = true, dials, retries
	o.Protocol = cmp.Or(o.Protocol, protocol)
	harden(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
	return redis.NewClient(o), nil
}

func sentinelClient(address string, db int) (redis.UniversalClient, error) {
	o, err := redis.ParseFailoverURL(address)
	if err != nil {
		return nil, invalid(EnvURL, "%v", err)
	}
	if o.ReplicaOnly {
		return nil, invalid(EnvURL, "replica_only: a lock is decided on the master")
	}
	if o.DB, err = choose(db, o.DB); err != nil {
		return nil, err
	}
	o.RouteByLatency, o.RouteRandomly = false, false
	o.ContextTimeoutEnabled, o.DialerRetries, o.MaxRetries = true, dials, retries
	o.Protocol = cmp.Or(o.Protocol, protocol)
	harden(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
	return redis.NewFailoverClient(o), nil
}

func clusterClient(address string) (redis.UniversalClient, error) {
	o, err := redis.ParseClusterURL(address)
	if err != nil {
		return nil, invalid(EnvURL, "%v", err)
	}
	o.ReadOnly, o.RouteByLatency, o.RouteRandomly = false, false, false
	o.ContextTimeoutEnabled, o.DialerRetries, o.MaxRedirects = true, dials, redirects
	o.Protocol = cmp.Or(o.Protocol, protocol)
	o.ClusterStateReloadInterval = stateReload
	harden(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
	return redis.NewClusterClient(o), nil
}

// choose returns the database: the named one, or else the URL's.
func choose(db, ofURL int) (int, error) {
	if db >= 0 {
		return db, nil
	}
	if ofURL < 0 {
		return 0, invalid(EnvURL, "a negative database")
	}
	return ofURL, nil
}

// misreadPassword reports whether the parser took a '/', '?' or '#' in a password for the end of the host. Then
// an error about the rest would quote the password.
func misreadPassword(u *url.URL) bool {
	if strings.Contains(u.Path+u.Fragment, "@") {
		return true
	}
	for name, values := range u.Query() {
		if strings.Contains(name, "@") || (name == "addr" && strings.Contains(strings.Join(values, " "), "@")) {
			return true
		}
	}
	return false
}

// harden sets the timeouts that the URL does not name.
func harden(timeouts ...*time.Duration) {
	for _, timeout := range timeouts {
		if *timeout == 0 {
			*timeout = networkTimeout
		}
	}
}
