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

// The variables that Open reads (CONTRACT.md, "Environment").
const (
	EnvURL = "REDIS_URL"
	EnvDB  = "REDIS_DB_MUTEX"
)

// Timeouts that keep one call within the engine's time limit, also when Redis hangs. Measured: with
// go-redis's defaults a stopped server holds a call for 5 to 24 s, with these for half a second.
const (
	networkTimeout = 500 * time.Millisecond
	stateReload    = 2 * time.Second
	openTimeout    = 5 * time.Second
)

// protocol is RESP2: nothing here needs RESP3, for which go-redis looks for push messages before every
// command and every reply.
const protocol = 2

// Open returns a client as the environment describes it, with timeouts fit for a lock:
//
//	REDIS_URL       redis://, rediss:// or unix://; ?addr=host:port for Cluster, ?master_name= for Sentinel
//	REDIS_DB_MUTEX  the database that holds the locks; overrides the one in REDIS_URL; 0 by default
//
// It asks Redis, so that a wrong database, password or address is an error at start, or a Redis before 6.2.
// The client is the caller's to close. Errors: ErrNotConfigured, ErrInvalidEnvironment, ErrUnavailable.
func Open(ctx context.Context) (redis.UniversalClient, error) {
	db, err := parseDB(os.Getenv(EnvDB))
	if err != nil {
		return nil, err
	}
	address := os.Getenv(EnvURL)
	if address == "" {
		return nil, ErrNotConfigured
	}
	client, err := parseURL(address, db)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		kind := ErrUnavailable
		var refused redis.Error
		if errors.As(err, &refused) {
			// Redis did answer: a database out of range, a wrong password.
			kind = ErrInvalidEnvironment
		}
		return nil, errors.Join(fmt.Errorf("%w: %s, %s: %w", kind, EnvURL, EnvDB, err), client.Close())
	}
	if _, single := client.(*redis.Client); single {
		if info, err := client.Info(ctx, "cluster").Result(); err == nil && strings.Contains(info, "cluster_enabled:1") {
			return nil, errors.Join(fmt.Errorf("%w: %s names a node of a cluster; add ?addr=host:port for another of its nodes",
				ErrInvalidEnvironment, EnvURL), client.Close())
		}
	}
	if err := client.Do(ctx, "getex", DefaultPrefix).Err(); err != nil && redis.HasErrorPrefix(err, "unknown command") {
		return nil, errors.Join(fmt.Errorf("%w: %s: Redis 6.2 or later is needed: %w", ErrInvalidEnvironment, EnvURL, err), client.Close())
	}
	if err := CheckServer(ctx, client); err != nil {
		slog.WarnContext(ctx, "editlock: redis may lose locks", "error", err)
	}
	return client, nil
}

// CheckServer asks every master of client for settings under which Redis drops locks before their time:
// an error is ErrMayEvict, or tells why it could not be asked. Open does this and logs a warning; with a
// client of your own, call it at start.
func CheckServer(ctx context.Context, client Client) error {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
			return CheckServer(ctx, master)
		})
	}
	info := redis.NewStringCmd(ctx, "info", "memory")
	if err := client.Process(ctx, info); err != nil {
		return fmt.Errorf("%w: info memory: %w", ErrUnavailable, err)
	}
	settings := make(map[string]string)
	for line := range strings.Lines(info.Val()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		settings[name] = value
	}
	// volatile-* counts: every lock has a time to live. (Measured: volatile-lru dropped 200 locks of 200.)
	if policy := settings["maxmemory_policy"]; settings["maxmemory"] != "0" && policy != "" && policy != "noeviction" {
		return fmt.Errorf("%w: maxmemory-policy is %s", ErrMayEvict, policy)
	}
	return nil
}

// parseDB reads REDIS_DB_MUTEX; -1 says that it is not set.
func parseDB(text string) (int, error) {
	if text == "" {
		return -1, nil
	}
	db, err := strconv.Atoi(text)
	if err != nil || db < 0 {
		return 0, fmt.Errorf("%w: %s: %q is not the number of a database", ErrInvalidEnvironment, EnvDB, text)
	}
	return db, nil
}

// parseURL makes the client without asking Redis; a db of 0 or more overrides the URL's. No error of it
// repeats the URL: it may hold a password.
func parseURL(address string, db int) (redis.UniversalClient, error) {
	invalid := func(name, why string) (redis.UniversalClient, error) {
		return nil, fmt.Errorf("%w: %s: %s", ErrInvalidEnvironment, name, why)
	}
	u, err := url.Parse(address)
	if err != nil {
		return invalid(EnvURL, "not a URL")
	}
	if u.Scheme != "unix" && misreadPassword(u) {
		return invalid(EnvURL, "an '@' after the host; is there a character in the password that must be escaped?")
	}
	query := u.Query()
	switch {
	case query.Get("master_name") != "":
		o, err := redis.ParseFailoverURL(address)
		if err != nil {
			return invalid(EnvURL, err.Error())
		}
		if o.ReplicaOnly {
			return invalid(EnvURL, "replica_only: a lock is decided on the master")
		}
		if db >= 0 {
			o.DB = db
		}
		if o.DB < 0 {
			return invalid(EnvURL, "a negative database")
		}
		o.RouteByLatency, o.RouteRandomly = false, false
		o.ContextTimeoutEnabled, o.DialerRetries, o.MaxRetries = true, 1, 1
		o.Protocol = cmp.Or(o.Protocol, protocol)
		harden(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
		return redis.NewFailoverClient(o), nil
	case query.Has("addr"):
		if path := strings.Trim(u.Path, "/"); db > 0 || (path != "" && path != "0") {
			return invalid(EnvDB, "a Redis Cluster has only database 0")
		}
		o, err := redis.ParseClusterURL(address)
		if err != nil {
			return invalid(EnvURL, err.Error())
		}
		o.ReadOnly, o.RouteByLatency, o.RouteRandomly = false, false, false
		o.ContextTimeoutEnabled, o.DialerRetries, o.MaxRedirects = true, 1, 3
		o.Protocol = cmp.Or(o.Protocol, protocol)
		o.ClusterStateReloadInterval = stateReload
		harden(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
		return redis.NewClusterClient(o), nil
	default:
		o, err := redis.ParseURL(address)
		if err != nil {
			return invalid(EnvURL, err.Error())
		}
		if db >= 0 {
			o.DB = db
		}
		if o.DB < 0 {
			return invalid(EnvURL, "a negative database")
		}
		o.ContextTimeoutEnabled, o.DialerRetries, o.MaxRetries = true, 1, 1
		o.Protocol = cmp.Or(o.Protocol, protocol)
		harden(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
		return redis.NewClient(o), nil
	}
}

// misreadPassword tells whether the parser took a '/', '?' or '#' in a password for the end of the host:
// then it, and whoever complains of the rest, would quote the password.
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
