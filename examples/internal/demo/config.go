package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

const defaultAddr = "127.0.0.1:8080"

type config struct {
	addr  string
	ttl   time.Duration
	scope core.Scope
}

// readConfig reads ADDR, LOCK_TTL and LOCK_SCOPE. An empty variable is one that is not set.
func readConfig(env func(string) string) (config, error) {
	c := config{addr: defaultAddr, ttl: time.Minute, scope: core.ScopeUser}
	if addr := env("ADDR"); addr != "" {
		c.addr = addr
	}
	if text := env("LOCK_TTL"); text != "" {
		ttl, err := time.ParseDuration(text)
		if err != nil {
			return c, fmt.Errorf("LOCK_TTL: %q is not a duration, such as 1m or 90s", text)
		}
		if ttl < core.MinTTL || ttl > core.MaxTTL {
			return c, fmt.Errorf("LOCK_TTL: %v is not within %v and %v", ttl, core.MinTTL, core.MaxTTL)
		}
		c.ttl = ttl
	}
	if text := env("LOCK_SCOPE"); text != "" {
		c.scope = core.Scope(text)
		if err := c.scope.Validate(); err != nil {
			return c, fmt.Errorf("LOCK_SCOPE: %w", err)
		}
	}
	return c, nil
}

// store is the Redis of the locks and the drafts.
type store struct {
	client redis.UniversalClient
	name   string // for people, without user names and passwords
	close  func()
}

// openRedis opens the Redis that the environment names, or starts an embedded one.
func openRedis(ctx context.Context) (store, error) {
	client, err := core.Open(ctx)
	if errors.Is(err, core.ErrNotConfigured) {
		return startEmbedded(os.Getenv(core.EnvDB))
	}
	if err != nil {
		return store{}, err
	}
	return store{
		client: client,
		name:   describe(client, os.Getenv(core.EnvURL)),
		close:  func() { closing("redis client", client.Close) },
	}, nil
}

func startEmbedded(database string) (store, error) {
	db, err := strconv.Atoi(cmp.Or(database, "0"))
	if err != nil { // not after core.Open has read it
		return store{}, fmt.Errorf("%s: %w", core.EnvDB, err)
	}
	server, err := embedded.Start()
	if err != nil {
		return store{}, err
	}
	client := server.Client(db)
	return store{client: client, name: "embedded", close: func() {
		closing("redis client", client.Close)
		server.Close()
	}}, nil
}

// describe names the Redis that client uses. The address is only read for what the client no longer
// knows, and only known parts of it are repeated.
func describe(client redis.UniversalClient, address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "redis" // not after core.Open has read it
	}
	db := 0
	if single, ok := client.(*redis.Client); ok {
		o := single.Options()
		db = o.DB
		switch {
		case o.Network == "unix":
			return fmt.Sprintf("unix://%s?db=%d", o.Addr, db)
		case !u.Query().Has("master_name"):
			return fmt.Sprintf("%s://%s/%d", u.Scheme, o.Addr, db)
		}
	}
	// A Cluster or Sentinel: the client knows them by the addresses in the URL.
	host, port := u.Hostname(), u.Port()
	if host == "" {
		host = "localhost"
	}
	if port == "" {
		port = "6379"
	}
	var rest []string
	for _, name := range []string{"addr", "master_name"} {
		for _, value := range u.Query()[name] {
			value = value[strings.LastIndex(value, "@")+1:]
			rest = append(rest, name+"="+strings.ReplaceAll(url.QueryEscape(value), "%3A", ":"))
		}
	}
	return fmt.Sprintf("%s://%s/%d?%s", u.Scheme, net.JoinHostPort(host, port), db, strings.Join(rest, "&"))
}
