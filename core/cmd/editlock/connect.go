package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/internal/record"
)

// callTimeout is more than an application has: an operator can wait.
const callTimeout = 5 * time.Second

// session is a command's way to Redis.
type session struct {
	client redis.UniversalClient
	locker *core.Locker // of the tenant, if one is named
	flags  *flags
}

// client returns a client that has not asked Redis yet.
func (f *flags) client() (redis.UniversalClient, error) {
	return core.NewClient(f.address(), cmp.Or(f.db, os.Getenv(core.EnvDB)))
}

func (f *flags) address() string { return cmp.Or(f.url, os.Getenv(core.EnvURL)) }

// options are those of the application's, as far as they matter here. A failure is told once, and not in a log too.
func (f *flags) options() core.Options {
	return core.Options{Prefix: f.prefix, Timeout: callTimeout, Logger: slog.New(slog.DiscardHandler)}
}

func (f *flags) connect() (*session, error) {
	client, err := f.client()
	if err != nil {
		return nil, err
	}
	locker, err := core.New(client, f.options())
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	if f.tenancy != "" {
		locker = locker.WithTenant(f.tenancy)
	}
	return &session{client, locker, f}, nil
}

// close ends the session. An error of it changes nothing that was said.
func (s *session) close() {
	_ = s.locker.Close()
	_ = s.client.Close()
}

// key returns the key of a resource.
func (s *session) key(uid string) string {
	namespace := s.flags.prefix
	if s.flags.tenancy != "" {
		namespace = record.TenantPrefix(namespace, s.flags.tenancy)
	}
	return record.Key(namespace, uid)
}

// place names the Redis of an address, without its user and password.
func place(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "Redis"
	}
	name := "Redis at " + u.Host + strings.TrimSuffix(u.Path, "/")
	if others := u.Query()["addr"]; len(others) > 0 {
		name += ", " + strings.Join(others, ", ")
	}
	return name
}

// redisCLI returns the beginning of a redis-cli command for the same database. A password is not in it.
func (s *session) redisCLI() string {
	u, err := url.Parse(s.flags.address())
	if err != nil {
		return "redis-cli"
	}
	command := "redis-cli"
	switch c := s.client.(type) {
	case *redis.ClusterClient:
		command += " -c" + hostAndPort(u.Host)
	case *redis.Client:
		switch options := c.Options(); {
		case options.Network == "unix":
			command += " -s " + quote(options.Addr)
		case u.Query().Has("master_name"): // a Sentinel's address is not the master's
			command += sentinelMaster
		default:
			command += hostAndPort(options.Addr)
		}
		if db := c.Options().DB; db != 0 {
			command += " -n " + quote(itoa(db))
		}
	}
	if u.Scheme == "rediss" {
		command += " --tls"
	}
	if u.User != nil {
		if name := u.User.Username(); name != "" {
			command += " --user " + quote(name)
		}
		command += " --askpass"
	}
	return command
}

// sentinelMaster stands for the address of a master that Sentinels know.
const sentinelMaster = " -h MASTER"

func hostAndPort(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return " -h " + quote(address)
	}
	return " -h " + quote(host) + " -p " + quote(port)
}

// explain words an error for somebody who does not know Go.
func explain(err error) string {
	var invalid *core.InvalidError
	var refused redis.Error
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &invalid):
		return invalid.Argument + ": " + invalid.Reason
	case errors.Is(err, core.ErrNotConfigured):
		return "REDIS_URL is not set: set it, or name Redis by -url redis://host:port"
	case errors.Is(err, core.ErrMalformedRecord):
		return "the record is malformed; editlock show UID says more"
	case errors.As(err, &refused):
		return "Redis refuses: " + refused.Error() + "; editlock doctor says more"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.As(err, &dns):
		return "Redis cannot be reached: no address is known for the host " + dns.Name
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Redis cannot be reached: nothing listens there (connection refused)"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "Redis does not answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "Redis cannot be reached: the connection was closed"
	default:
		return strings.TrimPrefix(err.Error(), "editlock: ")
	}
}
