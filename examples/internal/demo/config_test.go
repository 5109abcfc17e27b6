package demo

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
)

func TestReadConfig(t *testing.T) {
	for _, test := range []struct {
		addr, ttl, scope string
		want             config
		wantErr          string
	}{
		{"", "", "", config{defaultAddr, time.Minute, core.ScopeUser}, ""},
		{":0", "90s", "user", config{":0", 90 * time.Second, core.ScopeUser}, ""},
		{"", "10ms", "session", config{defaultAddr, core.MinTTL, core.ScopeSession}, ""},
		{"", "60", "", config{}, `LOCK_TTL: "60"`},
		{"", "soon", "", config{}, `LOCK_TTL: "soon"`},
		{"", "0", "", config{}, "LOCK_TTL: 0s is not within"},
		{"", "-1m", "", config{}, "LOCK_TTL: -1m0s is not within"},
		{"", "1000h", "", config{}, "LOCK_TTL: 1000h0m0s is not within"},
		{"", "", "tab", config{}, `LOCK_SCOPE: editlock: invalid scope: "tab" is neither`},
	} {
		got, err := readConfig(func(name string) string {
			return map[string]string{"ADDR": test.addr, "LOCK_TTL": test.ttl, "LOCK_SCOPE": test.scope}[name]
		})
		switch {
		case test.wantErr == "" && (err != nil || got != test.want):
			t.Errorf("%+v: got %+v, %v", test, got, err)
		case test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)):
			t.Errorf("%+v: got error %v", test, err)
		}
	}
}

// The clients are made as core.Open makes them, but for the look at Redis.
func TestDescribe(t *testing.T) {
	single := func(address string) redis.UniversalClient {
		o, err := redis.ParseURL(address)
		if err != nil {
			t.Fatal(err)
		}
		o.DB++ // as REDIS_DB_MUTEX would
		return redis.NewClient(o)
	}
	cluster := func(address string) redis.UniversalClient {
		o, err := redis.ParseClusterURL(address)
		if err != nil {
			t.Fatal(err)
		}
		return redis.NewClusterClient(o)
	}
	sentinel := func(address string) redis.UniversalClient {
		o, err := redis.ParseFailoverURL(address)
		if err != nil {
			t.Fatal(err)
		}
		o.DB++
		return redis.NewFailoverClient(o)
	}
	for _, test := range []struct {
		open          func(string) redis.UniversalClient
		address, want string
	}{
		{single, "redis://example.org:6380/2", "redis://example.org:6380/3"},
		{single, "redis://ann:pass%40word@example.org", "redis://example.org:6379/1"},
		{single, "redis://:password@[::1]:6379/0?client_name=password", "redis://[::1]:6379/1"},
		{single, "redis://", "redis://localhost:6379/1"},
		{single, "rediss://ann:password@example.org/2", "rediss://example.org:6379/3"},
		{single, "unix://ann:password@/run/redis.sock?db=2", "unix:///run/redis.sock?db=3"},
		{cluster, "redis://ann:password@a.example.org:7000?addr=b.example.org:7001&addr=c.example.org:7002",
			"redis://a.example.org:7000/0?addr=b.example.org:7001&addr=c.example.org:7002"},
		{cluster, "rediss://ann:password@a.example.org:7000?addr=password%40b.example.org:7001",
			"rediss://a.example.org:7000/0?addr=b.example.org:7001"},
		{sentinel, "redis://ann:password@a.example.org:26379/2?master_name=main&addr=b.example.org:26379&client_name=password",
			"redis://a.example.org:26379/3?addr=b.example.org:26379&master_name=main"},
	} {
		client := test.open(test.address)
		if got := describe(client, test.address); got != test.want {
			t.Errorf("%s: got %s, want %s", test.address, got, test.want)
		}
		_ = client.Close()
	}
}

func TestEmbeddedDatabase(t *testing.T) {
	t.Setenv(core.EnvURL, "")
	for _, test := range []struct {
		database string
		want     int
	}{{"", 0}, {"3", 3}} {
		t.Setenv(core.EnvDB, test.database)
		store, err := openRedis(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer store.close()
		if db := store.client.(*redis.Client).Options().DB; db != test.want || store.name != "embedded" {
			t.Errorf("REDIS_DB_MUTEX=%q: got database %d of %s", test.database, db, store.name)
		}
	}
	for _, database := range []string{"x", "-1", "1.5", " 1"} {
		t.Setenv(core.EnvDB, database)
		if _, err := openRedis(t.Context()); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("REDIS_DB_MUTEX=%q: got %v", database, err)
		}
	}
}

func TestNoPasswordInErrors(t *testing.T) {
	for _, address := range []string{
		"redis://ann:12/swordfish@127.0.0.1:1/0",
		"redis://ann:12?swordfish@127.0.0.1:1/0",
		"redis://ann:12 swordfish@127.0.0.1:1/0",
		"redis://ann:swordfish@127.0.0.1:1/many",
		"redis://127.0.0.1:1?addr=ann:swordfish@127.0.0.1:2",
		"http://ann:swordfish@127.0.0.1:1/0",
	} {
		t.Setenv(core.EnvURL, address)
		if _, err := openRedis(t.Context()); err == nil || strings.Contains(err.Error(), "swordfish") {
			t.Errorf("%s: got %v", address, err)
		}
	}
}

func TestBaseURL(t *testing.T) {
	for _, test := range []struct {
		addr net.TCPAddr
		want string
	}{
		{net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, "http://127.0.0.1:80"},
		{net.TCPAddr{IP: net.IPv6zero, Port: 80}, "http://127.0.0.1:80"},
		{net.TCPAddr{IP: net.IPv6loopback, Port: 80}, "http://[::1]:80"},
	} {
		if got := baseURL(&test.addr); got != test.want {
			t.Errorf("%v: got %s, want %s", test.addr.IP, got, test.want)
		}
	}
}
