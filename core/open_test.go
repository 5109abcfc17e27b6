package core_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/redistest"
)

func TestOpenReadsTheEnvironment(t *testing.T) {
	server := redistest.Start(t)
	for _, test := range []struct {
		url, db string
		locksIn int
	}{
		{server.URL(0), "", 0},
		{server.URL(2), "", 2},
		{server.URL(2), "5", 5},
		{server.URL(2), "0", 0},
	} {
		t.Setenv(core.EnvURL, test.url)
		t.Setenv(core.EnvDB, test.db)
		client, err := core.Open(t.Context())
		if err != nil {
			t.Fatalf("%+v: %v", test, err)
		}
		options := client.(*redis.Client).Options()
		if !options.ContextTimeoutEnabled || options.ReadTimeout > time.Second || options.DialTimeout > time.Second {
			t.Errorf("timeouts: %+v", options)
		}
		locker, err := core.New(client, core.Options{})
		if err != nil {
			t.Fatal(err)
		}
		acquire(t, locker.Mutex("d", time.Minute, ann))
		for db := range 6 {
			there := server.Client(t, func(o *redis.Options) { o.DB = db }).Exists(t.Context(), lockKey("d")).Val() == 1
			if there != (db == test.locksIn) {
				t.Errorf("%+v: the lock in database %d: %v", test, db, there)
			}
		}
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefusesWhatCannotWorkAndHidesThePassword(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "hunter2")
	with := func(credentials, rest string) string {
		return "redis://" + credentials + "@" + server.Addr + rest
	}
	for name, test := range map[string]struct {
		url, db string
		want    error
	}{
		"no URL":                 {"", "3", core.ErrNotConfigured},
		"no URL, bad database":   {"", "x", core.ErrInvalid},
		"no URL at all":          {"::hunter2", "", core.ErrInvalid},
		"other scheme":           {"http://:hunter2@127.0.0.1", "", core.ErrInvalid},
		"database in words":      {with(":hunter2", ""), "three", core.ErrInvalid},
		"negative database":      {with(":hunter2", ""), "-1", core.ErrInvalid},
		"database in the URL":    {with(":hunter2", "/x"), "", core.ErrInvalid},
		"database out of range":  {with(":hunter2", ""), "99", core.ErrInvalid},
		"database of the URL":    {with(":hunter2", "/99"), "", core.ErrInvalid},
		"wrong password":         {with(":hunter3", ""), "", core.ErrInvalid},
		"unknown option":         {with(":hunter2", "?colour=red"), "", core.ErrInvalid},
		"database of a cluster":  {with(":hunter2", "?addr="+server.Addr), "1", core.ErrInvalid},
		"database, cluster URL":  {with(":hunter2", "/1?addr="+server.Addr), "", core.ErrInvalid},
		"password with a slash":  {with(":12/hunter2", ""), "", core.ErrInvalid},
		"password with a query":  {with(":12?hunter2", ""), "", core.ErrInvalid},
		"password with a space":  {with(":12 hunter2", ""), "", core.ErrInvalid},
		"password in addr":       {"redis://127.0.0.1:1?addr=:hunter2@127.0.0.1:2", "", core.ErrInvalid},
		"no cluster":             {with(":hunter2", "?addr="+server.Addr), "", nil},
		"replica":                {with(":hunter2", "?master_name=m&replica_only=true"), "", core.ErrInvalid},
		"unix socket, no server": {"unix:///nowhere/redis.sock", "", core.ErrUnavailable},
		"nobody listens":         {"redis://:hunter2@127.0.0.1:1", "", core.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(core.EnvURL, test.url)
			t.Setenv(core.EnvDB, test.db)
			_, err := core.Open(t.Context())
			if err == nil || (test.want != nil && !errors.Is(err, test.want)) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestOpenSaysWhatIsWrongWithAnAddressOrADatabaseAlone(t *testing.T) {
	t.Setenv(core.EnvURL, "localhost:6379")
	t.Setenv(core.EnvDB, "")
	if _, err := core.Open(t.Context()); !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "redis://localhost:6379") {
		t.Errorf("an address: %v", err)
	}
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	t.Setenv(core.EnvURL, "")
	for db, warned := range map[string]bool{"": false, "3": true} {
		log.Reset()
		t.Setenv(core.EnvDB, db)
		if _, err := core.Open(t.Context()); !errors.Is(err, core.ErrNotConfigured) || strings.Contains(log.String(), core.EnvDB) != warned {
			t.Errorf("database %q: %v, logged %q", db, err, log.String())
		}
	}
}

// A program that starts while Redis loads its data must be able to try again.
func TestOpenTellsARedisThatIsNotReadyFromOneThatRefuses(t *testing.T) {
	for refusal, want := range map[string]error{
		"LOADING Redis is loading the dataset in memory":                core.ErrUnavailable,
		"MASTERDOWN Link with MASTER is down":                           core.ErrUnavailable,
		"ERR max number of clients reached":                             core.ErrUnavailable,
		"WRONGPASS invalid username-password pair or user is disabled.": core.ErrInvalid,
		"NOPERM this user has no permissions to run the 'ping' command": core.ErrUnfit,
		"ERR DB index is out of range":                                  core.ErrInvalid,
	} {
		t.Run(refusal, func(t *testing.T) {
			t.Setenv(core.EnvDB, "")
			t.Setenv(core.EnvURL, "redis://"+refuser(t, refusal))
			_, err := core.Open(t.Context())
			if !errors.Is(err, want) || errors.Is(err, core.ErrInvalid) != errors.Is(want, core.ErrInvalid) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}

// refuser is a server that answers every command with the error. It returns its address.
func refuser(t *testing.T, refusal string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					if strings.HasPrefix(lines.Text(), "*") { // a command begins
						if _, err := fmt.Fprintf(conn, "-%s\r\n", refusal); err != nil {
							return
						}
					}
				}
			})
		}
	})
	return listener.Addr().String()
}

func TestNewClientAsksNothing(t *testing.T) {
	t.Parallel()
	for db, want := range map[string]int{"": 2, "5": 5, "0": 0} {
		client, err := core.NewClient("redis://127.0.0.1:1/2", db) // nobody listens there
		if err != nil {
			t.Fatal(err)
		}
		options := client.(*redis.Client).Options()
		if options.DB != want || !options.ContextTimeoutEnabled || options.ReadTimeout > time.Second {
			t.Errorf("%q: %+v", db, options)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, test := range []struct {
		address, db string
		want        error
	}{
		{"", "", core.ErrNotConfigured},
		{"http://127.0.0.1:1", "", core.ErrInvalid},
		{"redis://127.0.0.1:1", "x", core.ErrInvalid},
		{"redis://127.0.0.1:1", "-1", core.ErrInvalid},
	} {
		if client, err := core.NewClient(test.address, test.db); client != nil || !errors.Is(err, test.want) {
			t.Errorf("%+v: %v, %v", test, client, err)
		}
	}
}
