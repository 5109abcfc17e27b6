package core_test

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
	"github.com/editlock/editlock/core/redistest"
)

// healthy are directives of a server of which there is nothing to say but notes.
const healthy = "--appendonly yes"

// probed is what CheckServer says beyond notes, as "severity check", sorted as it comes.
func probed(findings []core.Finding) []string {
	var list []string
	for _, f := range findings {
		if f.Severity > core.SeverityNote {
			list = append(list, f.Severity.String()+" "+f.Check)
		}
	}
	return list
}

// finding returns the finding of a check, and ends the test if there is none.
func finding(t *testing.T, findings []core.Finding, check string) core.Finding {
	t.Helper()
	for _, f := range findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("nothing about %q in %v", check, findings)
	return core.Finding{}
}

// expect compares what CheckServer says beyond notes, and its error with what that amounts to.
func expect(t *testing.T, client core.Client, want ...string) []core.Finding {
	t.Helper()
	findings, err := core.CheckServer(t.Context(), client, core.Options{})
	if got := probed(findings); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q; all of it: %v", got, want, findings)
	}
	worst := func(severity core.Severity) bool {
		return slices.ContainsFunc(findings, func(f core.Finding) bool { return f.Severity == severity })
	}
	if errors.Is(err, core.ErrUnfit) != worst(core.SeverityUnfit) || errors.Is(err, core.ErrUnavailable) != worst(core.SeverityUnavailable) {
		t.Errorf("error %v of %v", err, findings)
	}
	for _, f := range findings {
		if strings.Contains(f.String(), "\n") || f.Means == "" || f.Severity > core.SeverityNote && f.Remedy == "" {
			t.Errorf("%q does not say what it means and what to do", f)
		}
		if f.Severity >= core.SeverityUnavailable && !strings.Contains(err.Error(), f.String()) {
			t.Errorf("the error does not name %q: %v", f, err)
		}
	}
	return findings
}

func TestProbeFindsNothingWrongWithAHealthyServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, healthy)
	findings := expect(t, server.Client(t))
	if version := finding(t, findings, "version"); !strings.Contains(version.Means, "Redis ") {
		t.Errorf("%v", version)
	}
	expect(t, server.Client(t, func(o *redis.Options) { o.Protocol = 2 }))
}

func TestProbeLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t, healthy).Client(t)
	expect(t, client)
	keys := client.Keys(t.Context(), "*").Val()
	for _, key := range keys {
		if ttl := client.PTTL(t.Context(), key).Val(); ttl > time.Second {
			t.Errorf("key %q for %v", key, ttl)
		}
	}
	if channels := client.PubSubChannels(t.Context(), "*").Val(); len(channels) > 0 {
		// The server may still have the end of the subscription's connection before it.
		deadline := time.Now().Add(5 * time.Second)
		for len(channels) > 0 && time.Now().Before(deadline) {
			channels = client.PubSubChannels(t.Context(), "*").Val()
		}
		if len(channels) > 0 {
			t.Errorf("still subscribed: %q", channels)
		}
	}
}

// Whatever the prefix is, a resource's key ends with '}'.
func TestProbeTouchesNoKeyOfAResource(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	keys := make(map[string]bool)
	record := func(words []string) []string {
		mu.Lock()
		defer mu.Unlock()
		switch strings.ToLower(words[0]) {
		case "eval", "evalsha":
			keys[words[3]] = true
		case "set", "getex", "publish", "subscribe":
			keys[words[1]] = true
		}
		return words
	}
	expect(t, redisAt(t, managed(t, redistest.Start(t, healthy).Addr, record)))
	mu.Lock()
	defer mu.Unlock()
	if len(keys) == 0 {
		t.Error("no key was seen")
	}
	for key := range keys {
		if !strings.HasPrefix(key, "editlock:") || strings.HasSuffix(key, "}") {
			t.Errorf("key %q", key)
		}
	}
}

func TestProbeSaysWhatItCouldNotAskOfAnEmbeddedServer(t *testing.T) {
	t.Parallel()
	findings := expect(t, embeddedAt(t, 0))
	for _, check := range []string{"info", "config"} {
		if f := finding(t, findings, check); f.Severity != core.SeverityNote {
			t.Errorf("%v", f)
		}
	}
}

// limited returns a URL and a client of a user of Redis with these rules.
func limited(t *testing.T, server *redistest.Server, rules ...string) (string, *redis.Client) {
	t.Helper()
	arguments := []any{"acl", "setuser", "editlock", "reset", "resetchannels", "on", ">secret"}
	for _, rule := range rules {
		arguments = append(arguments, rule)
	}
	if err := server.Client(t).Do(t.Context(), arguments...).Err(); err != nil {
		t.Fatal(err)
	}
	return "redis://editlock:secret@" + server.Addr, server.Client(t, func(o *redis.Options) { o.Username, o.Password = "editlock", "secret" })
}

var allRules = []string{
	"~editlock:*", "&editlock:*", "+evalsha", "+eval", "+getrange", "+getex", "+set", "+pttl", "+time",
	"+publish", "+subscribe", "+unsubscribe",
}

// openLogged opens with slog.Default in a buffer. No test that runs in parallel may use it.
func openLogged(t *testing.T, url string) (log string, err error) {
	t.Helper()
	var text bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
	defer slog.SetDefault(before)
	client, err := core.OpenURL(t.Context(), url)
	if err == nil {
		t.Cleanup(func() { _ = client.Close() })
	}
	return text.String(), err
}

// An ACL without more than the engine needs is enough, and each right that is missing is named.
func TestOpenNamesTheRightThatAnACLLacks(t *testing.T) {
	server := redistest.Start(t, healthy)
	url, client := limited(t, server, allRules...)
	findings := expect(t, client)
	for _, check := range []string{"info", "config"} {
		finding(t, findings, check)
	}
	if log, err := openLogged(t, url); err != nil || log != "" {
		t.Errorf("with all rules: %v, logged %q", err, log)
	}
	for i, rule := range allRules {
		url, client := limited(t, server, slices.Delete(slices.Clone(allRules), i, i+1)...)
		log, err := openLogged(t, url)
		switch rule {
		case "~editlock:*":
			expect(t, client, "unfit keys")
			if err != nil || !strings.Contains(log, "check=keys") { // Options.Prefix may be another
				t.Errorf("without %s: %v, logged %q", rule, err, log)
			}
		case "&editlock:*":
			expect(t, client, "late channels")
			if err != nil || strings.Count(log, "\n") != 1 || !strings.Contains(log, "check=channels") {
				t.Errorf("without %s: %v, logged %q", rule, err, log)
			}
		case "+publish", "+subscribe":
			expect(t, client, "late "+rule[1:])
			if err != nil || strings.Count(log, "\n") != 1 || !strings.Contains(log, "add "+rule) {
				t.Errorf("without %s: %v, logged %q", rule, err, log)
			}
		case "+unsubscribe":
			if f := finding(t, expect(t, client), rule[1:]); err != nil || !strings.Contains(f.Remedy, "add "+rule) {
				t.Errorf("without %s: %v, %v", rule, err, f)
			}
		default:
			expect(t, client, "unfit "+rule[1:])
			if !errors.Is(err, core.ErrUnfit) || strings.Count(err.Error(), "\n") != 0 || !strings.Contains(err.Error(), "add "+rule+" ") || log != "" {
				t.Errorf("without %s: %v, logged %q", rule, err, log)
			}
		}
	}
}

func TestOpenNamesAllThatIsMissingAtOnce(t *testing.T) {
	server := redistest.Start(t, healthy)
	url, _ := limited(t, server, "~editlock:*", "&editlock:*", "+ping", "+set", "+getrange")
	_, err := openLogged(t, url)
	if !errors.Is(err, core.ErrUnfit) || errors.Is(err, core.ErrInvalid) || strings.Contains(err.Error(), "secret") {
		t.Fatalf("got %v", err)
	}
	for command, missing := range map[string]bool{
		"+evalsha": true, "+eval": true, "+getex": true, "+pttl": true, "+time": true, "+set": false, "+getrange": false,
	} {
		if strings.Contains(err.Error(), command+" ") != missing {
			t.Errorf("%s named: %v; %v", command, !missing, err)
		}
	}
}

// The ACL's prefix is that of the Options.
func TestCheckServerAsksUnderThePrefix(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, healthy)
	rules := slices.Concat([]string{"~shop:*", "&shop:*"}, allRules[2:])
	_, client := limited(t, server, rules...)
	expect(t, client, "unfit keys")
	findings, err := core.CheckServer(t.Context(), client, core.Options{Prefix: "shop:"})
	if err != nil || len(probed(findings)) > 0 {
		t.Errorf("%v, %v", findings, err)
	}
	if _, err := core.CheckServer(t.Context(), client, core.Options{Prefix: "{"}); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a prefix that New refuses: %v", err)
	}
}

func TestOpenSaysWhichCommandRedisLacks(t *testing.T) {
	for command, severity := range map[string]string{
		"EVAL": "unfit", "EVALSHA": "unfit", "TIME": "unfit", "GETEX": "unfit", "SET": "unfit", "PTTL": "unfit", "GETRANGE": "unfit",
		"PUBLISH": "late", "SUBSCRIBE": "late",
	} {
		t.Run(command, func(t *testing.T) {
			server := redistest.Start(t, healthy, "--rename-command", command, "no-"+command)
			findings := expect(t, server.Client(t), severity+" "+strings.ToLower(command))
			if f := finding(t, findings, strings.ToLower(command)); !strings.Contains(f.Remedy, "rename-command") {
				t.Errorf("%v", f)
			}
			log, err := openLogged(t, server.URL(0))
			if (err != nil) != (severity == "unfit") || (log != "") != (severity == "late") {
				t.Errorf("Open: %v, logged %q", err, log)
			}
			if command == "GETEX" && !strings.Contains(err.Error(), "6.2") {
				t.Errorf("it does not name the Redis that is needed: %v", err)
			}
		})
	}
}

func TestOpenRefusesAReplica(t *testing.T) {
	master := redistest.Start(t, healthy)
	host, port, _ := strings.Cut(master.Addr, ":")
	for name, test := range map[string]struct{ readOnly, says string }{
		"that takes no writes": {"yes", "refuses every lock"},
		"that takes writes":    {"no", "its master does not know"},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, healthy, "--replicaof", host, port, "--replica-read-only", test.readOnly)
			client := server.Client(t)
			awaitInfo(t, client, "master_link_status:up")
			findings := expect(t, client, "unfit replica")
			if f := finding(t, findings, "replica"); !strings.Contains(f.Means, test.says) || !strings.Contains(f.Remedy, master.Addr) {
				t.Errorf("%v", f)
			}
			if _, err := openLogged(t, server.URL(0)); !errors.Is(err, core.ErrUnfit) || !strings.Contains(err.Error(), "replica: ") {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

// A user without INFO is refused on a replica, too: behaviour counts.
func TestProbeSeesAReplicaWithoutINFO(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, healthy)
	host, port, _ := strings.Cut(master.Addr, ":")
	server := redistest.Start(t, healthy, "--replicaof", host, port)
	awaitInfo(t, server.Client(t), "master_link_status:up")
	_, client := limited(t, server, allRules...)
	expect(t, client, "unfit replica")
}

// awaitInfo waits until INFO has the text.
func awaitInfo(t *testing.T, client *redis.Client, text string) {
	t.Helper()
	for begin := time.Now(); !strings.Contains(client.Info(t.Context()).Val(), text); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("INFO never said %s: %s", text, client.Info(t.Context(), "replication").Val())
		}
	}
}

func TestProbeWarnsOfSettingsThatLoseLocks(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, healthy)
	client := master.Client(t)
	host, port, _ := strings.Cut(master.Addr, ":")
	for range 2 {
		redistest.Start(t, healthy, "--replicaof", host, port)
	}
	if err := client.ConfigSet(t.Context(), "min-replicas-to-write", "1").Err(); err != nil {
		t.Fatal(err)
	}
	awaitInfo(t, client, "min_slaves_good_slaves:2")
	for _, test := range []struct {
		settings string // of a server that is well but for these
		want     []string
	}{
		{"", nil},
		{"maxmemory 100mb maxmemory-policy allkeys-lru", []string{"weak maxmemory-policy"}},
		{"maxmemory 100mb maxmemory-policy volatile-ttl", []string{"weak maxmemory-policy"}},
		{"maxmemory 0 maxmemory-policy allkeys-lru", nil},
		{"appendonly no", []string{"weak persistence"}},
		{"min-replicas-to-write 0", []string{"weak min-replicas-to-write"}},
		{"replica-read-only no", []string{"weak replica-read-only"}},
		{"maxmemory 1", []string{"weak memory"}},
	} {
		settings := "maxmemory 100mb maxmemory-policy noeviction appendonly yes min-replicas-to-write 1 replica-read-only yes " + test.settings
		words := strings.Fields(settings)
		for i := 0; i < len(words); i += 2 {
			if err := client.ConfigSet(t.Context(), words[i], words[i+1]).Err(); err != nil {
				t.Fatal(err)
			}
		}
		findings := expect(t, client, test.want...)
		mayEvict := slices.ContainsFunc(findings, func(f core.Finding) bool { return errors.Is(f.Err, core.ErrMayEvict) })
		if mayEvict != slices.Contains(test.want, "weak maxmemory-policy") {
			t.Errorf("%s: ErrMayEvict: %v", test.settings, mayEvict)
		}
	}
}

// With one replica, min-replicas-to-write makes its outage one of the locks: to set it is a choice.
func TestProbeNotesThatTheOnlyReplicaNeedNotBeThere(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, healthy)
	host, port, _ := strings.Cut(master.Addr, ":")
	redistest.Start(t, healthy, "--replicaof", host, port)
	client := master.Client(t)
	awaitInfo(t, client, "connected_slaves:1")
	finding(t, expect(t, client), "min-replicas-to-write")
}

func TestProbeNotesThatSnapshotsAloneLoseALittle(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	if err := client.ConfigSet(t.Context(), "save", "3600 1").Err(); err != nil {
		t.Fatal(err)
	}
	if f := finding(t, expect(t, client), "persistence"); f.Severity != core.SeverityNote || !strings.Contains(f.Means, "snapshots") {
		t.Errorf("%v", f)
	}
}

func TestOpenWarnsOnceOfEachFinding(t *testing.T) {
	server := redistest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	log, err := openLogged(t, server.URL(0))
	if err != nil || strings.Count(log, "level=WARN") != 2 || strings.Count(log, "\n") != 2 ||
		!strings.Contains(log, "check=maxmemory-policy") || !strings.Contains(log, "check=persistence") {
		t.Errorf("%v, logged %q", err, log)
	}
}

func TestProbeAsksEveryMasterOfACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	client := cluster.Client(t, func(o *redis.ClusterOptions) {
		o.ReadTimeout, o.DialTimeout = 300*time.Millisecond, 300*time.Millisecond
	})
	findings := expect(t, client, "weak persistence", "weak persistence", "weak persistence")
	servers := make(map[string]bool)
	for _, f := range findings {
		if f.Check == "persistence" {
			servers[f.Server] = true
		}
	}
	if len(servers) != 3 || !servers[cluster.Nodes[0].Addr] {
		t.Errorf("of %v", servers)
	}
	// One that lacks something is named.
	if err := cluster.Nodes[1].Client(t).Do(t.Context(), "acl", "setuser", "default", "-spublish", "-pttl").Err(); err != nil {
		t.Fatal(err)
	}
	findings, err := core.CheckServer(t.Context(), client, core.Options{})
	if pttl := finding(t, findings, "pttl"); !errors.Is(err, core.ErrUnfit) || pttl.Server != cluster.Nodes[1].Addr {
		t.Errorf("%v, %v", pttl, err)
	}
	if f := finding(t, findings, "spublish"); f.Server != cluster.Nodes[1].Addr || f.Severity != core.SeverityLate {
		t.Errorf("%v", f)
	}
	cluster.Nodes[2].Pause()
	findings, err = core.CheckServer(t.Context(), client, core.Options{})
	if !errors.Is(err, core.ErrUnavailable) || !errors.Is(err, core.ErrUnfit) {
		t.Errorf("with a master that hangs: %v", err)
	}
	if f := finding(t, findings, "answer"); f.Server != cluster.Nodes[2].Addr {
		t.Errorf("%v", f)
	}
	finding(t, findings, "pttl")
	// A client of one server follows no key to another node.
	f := finding(t, expect(t, cluster.Nodes[0].Client(t), "unfit cluster", "weak persistence"), "cluster")
	if !strings.Contains(f.Remedy, "?addr=") {
		t.Errorf("%v", f)
	}
	expect(t, cluster.Nodes[3].Client(t), "unfit cluster", "unfit replica", "weak persistence")
}

func TestOpenOfAClusterNodeSaysWhatIsMissing(t *testing.T) {
	server := redistest.Start(t, healthy, "--cluster-enabled", "yes")
	if _, err := openLogged(t, server.URL(0)); !errors.Is(err, core.ErrUnfit) || !strings.Contains(err.Error(), "?addr=") {
		t.Errorf("without slots: %v", err)
	}
	client := server.Client(t)
	if err := client.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); !strings.Contains(client.ClusterInfo(t.Context()).Val(), "cluster_state:ok"); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 30*time.Second {
			t.Fatal(client.ClusterInfo(t.Context()).Val())
		}
	}
	// One endpoint that has every key, as managed ones do: it works for now.
	if log, err := openLogged(t, server.URL(0)); err != nil || !strings.Contains(log, "check=shards") {
		t.Errorf("with all slots: %v, logged %q", err, log)
	}
}

// someMasters is a client of a cluster by its methods, as a struct that embeds *redis.ClusterClient is.
type someMasters struct {
	core.Client
	masters []*redis.Client
	err     error
}

func (c someMasters) ForEachMaster(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	for _, master := range c.masters {
		if err := do(ctx, master); err != nil {
			return err
		}
	}
	return c.err
}

func (c someMasters) MasterForKey(_ context.Context, key string) (*redis.Client, error) {
	sum := fnv.New32()
	_, _ = sum.Write([]byte(key))
	return c.masters[int(sum.Sum32())%len(c.masters)], nil
}

func TestCheckServerWithoutMastersIsUnavailable(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t, healthy).Client(t)
	noSlots := errors.New("no slots")
	_, err := core.CheckServer(t.Context(), someMasters{client, nil, noSlots}, core.Options{})
	if !errors.Is(err, core.ErrUnavailable) || !errors.Is(err, noSlots) {
		t.Errorf("got %v", err)
	}
	expect(t, someMasters{client, nil, nil}, "unavailable masters")
	expect(t, someMasters{client, []*redis.Client{client}, nil})
}

// A cluster that is down, or moves the probe's key just now, may be well a moment later.
func TestProbeOfAClusterThatIsDownIsUnavailable(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t, healthy, "--cluster-enabled", "yes").Client(t)
	expect(t, someMasters{client, []*redis.Client{client}, nil}, "unavailable answer")
}

// The masters of a cluster before Redis 7 have no sharded channels, and announce as single servers do.
func TestProbeOfAClusterBeforeRedis7(t *testing.T) {
	t.Parallel()
	old := func(words []string) []string {
		if name := strings.ToLower(words[0]); name == "ssubscribe" || name == "spublish" {
			words[0] = "none-such"
		}
		return words
	}
	client := redisAt(t, managed(t, redistest.Start(t, healthy).Addr, old))
	expect(t, someMasters{client, []*redis.Client{client}, nil})
}

// embeddedAt returns a client of a server whose clock is ahead of this process's.
func embeddedAt(t *testing.T, ahead time.Duration) *redis.Client {
	t.Helper()
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	if ahead != 0 {
		server.SetTime(time.Now().Add(ahead))
	}
	client := server.Client(0)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestProbeComparesClocks(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{-time.Hour, -5 * time.Second, 5 * time.Second, time.Hour} {
		f := finding(t, expect(t, embeddedAt(t, ahead), "weak clock"), "clock")
		if side := map[bool]string{true: "ahead of", false: "behind"}[ahead > 0]; !strings.Contains(f.Means, side) {
			t.Errorf("%v: %v", ahead, f)
		}
	}
	expect(t, embeddedAt(t, 1500*time.Millisecond))
	// Two masters, each not far from this process.
	slow, fast := embeddedAt(t, -2*time.Second), embeddedAt(t, 2*time.Second)
	f := finding(t, expect(t, someMasters{slow, []*redis.Client{slow, fast}, nil}, "weak clock"), "clock")
	if f.Server != fast.Options().Addr || !strings.Contains(f.Means, slow.Options().Addr) {
		t.Errorf("%v", f)
	}
}

// otherClock lets TIME come from another shard's clock than the scripts' time.
type otherClock struct{ unhooked }

func (otherClock) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		err := next(ctx, commands)
		for _, c := range commands {
			if cmd, ok := c.(*redis.Cmd); ok && cmd.Name() == "time" && cmd.Err() == nil {
				list := cmd.Val().([]any)
				seconds, _ := strconv.ParseInt(list[0].(string), 10, 64)
				cmd.SetVal([]any{strconv.FormatInt(seconds+2, 10), list[1]})
			}
		}
		return err
	}
}

func TestProbeSeesTwoClocksBehindOneEndpoint(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t, healthy).Client(t)
	client.AddHook(otherClock{})
	if f := finding(t, expect(t, client, "weak shards"), "shards"); !strings.Contains(f.Means, "2") {
		t.Errorf("%v", f)
	}
}

// panicking is a hook of an application that fails.
type panicking struct{ otherClock }

func (panicking) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(context.Context, redis.Cmder) error { panic("of a hook") }
}

func TestProbeSaysWhyAServerCouldNotBeAsked(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, healthy, "--requirepass", "hunter2")
	panics := server.Client(t)
	panics.AddHook(panicking{})
	for name, test := range map[string]struct {
		client *redis.Client
		want   string
	}{
		"no password":     {redisAt(t, server.Addr), "unfit answer"},
		"wrong password":  {server.Client(t, func(o *redis.Options) { o.Password = "other" }), "unfit answer"},
		"no database":     {server.Client(t, func(o *redis.Options) { o.DB = 99 }), "unfit answer"},
		"nobody listens":  {redisAt(t, "127.0.0.1:1"), "unavailable answer"},
		"a hook panics":   {panics, "unavailable answer"},
		"it loads":        {redisAt(t, refuser(t, "LOADING Redis is loading the dataset in memory")), "unavailable answer"},
		"it cannot write": {redisAt(t, refuser(t, "MISCONF Redis is configured to save RDB snapshots")), "unavailable answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, test.client, test.want)
		})
	}
}

// NOREPLICAS ends by itself.
func TestProbeOfAMasterWithoutItsReplicasIsUnavailable(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t, healthy, "--min-replicas-to-write", "1").Client(t)
	if findings := expect(t, client, "unavailable answer"); len(findings) == 0 || !strings.Contains(findings[0].Remedy, "bring a replica back") {
		t.Errorf("the remedy: %+v", findings)
	}
}

func TestCheckServerRefusesARing(t *testing.T) {
	t.Parallel()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	t.Cleanup(func() { _ = ring.Close() })
	for _, client := range []core.Client{ring, nil} {
		if _, err := core.CheckServer(t.Context(), client, core.Options{}); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%T: %v", client, err)
		}
	}
}

func TestProbeOfAServerThatHangsEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t, func(o *redis.Options) { o.ContextTimeoutEnabled = true })
	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	findings, err := core.CheckServer(ctx, client, core.Options{})
	if !errors.Is(err, core.ErrUnavailable) || time.Since(begin) > 2*time.Second {
		t.Errorf("%v, %v after %v", findings, err, time.Since(begin))
	}
}

func TestProbeNoticesMessagesThatDoNotComeIn(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, healthy)
	proxy := managed(t, server.Addr, func(words []string) []string {
		if strings.EqualFold(words[0], "subscribe") {
			words[1] += "-elsewhere"
		}
		return words
	})
	expect(t, redisAt(t, proxy), "late subscribe")
}

// forbidsPublish wraps a script so that it may not publish, as some managed servers do.
const forbidsPublish = `local redis = (function(real)
  local function forbid(call, name, ...)
    local upper = string.upper(name)
    if upper == 'PUBLISH' or upper == 'SPUBLISH' then return { err = 'ERR This Redis command is not allowed from script' } end
    return call(name, ...)
  end
  return setmetatable({
    call = function(...) return forbid(real.call, ...) end, pcall = function(...) return forbid(real.pcall, ...) end,
  }, { __index = real })
end)(redis) `

// inScripts is a rewrite for managed that puts something before every script.
func inScripts(before string) func([]string) []string {
	return func(words []string) []string {
		switch strings.ToLower(words[0]) {
		case "evalsha":
			words[1] = strings.Repeat("0", 40) // NOSCRIPT
		case "eval":
			words[1] = before + words[1]
		}
		return words
	}
}

func TestProbeNoticesThatWhatAScriptPublishesIsNotHeard(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, healthy)
	silent := strings.Replace(forbidsPublish, "{ err = 'ERR This Redis command is not allowed from script' }", "0", 1)
	findings := expect(t, redisAt(t, managed(t, server.Addr, inScripts(silent))))
	if f := finding(t, findings, "publish in a script"); f.Severity != core.SeverityNote || !strings.Contains(f.Means, "does not come in") {
		t.Errorf("%v", f)
	}
}

func TestOpenWorksOnAServerThatRefusesPublishInScripts(t *testing.T) {
	server := redistest.Start(t, healthy)
	proxy := managed(t, server.Addr, inScripts(forbidsPublish))
	findings := expect(t, redisAt(t, proxy))
	if f := finding(t, findings, "publish in a script"); f.Severity != core.SeverityNote || !strings.Contains(f.Means, "not allowed from script") {
		t.Errorf("%v", f)
	}
	if log, err := openLogged(t, "redis://"+proxy); err != nil || log != "" {
		t.Errorf("Open: %v, logged %q", err, log)
	}
}

func TestOpenRefusesAServerThatForbidsScripts(t *testing.T) {
	server := redistest.Start(t, healthy)
	proxy := managed(t, server.Addr, func(words []string) []string {
		if name := strings.ToLower(words[0]); name == "eval" || name == "evalsha" {
			words[0] = "forbidden-" + name
		}
		return words
	})
	_, err := openLogged(t, "redis://"+proxy)
	if !errors.Is(err, core.ErrUnfit) || !strings.Contains(err.Error(), "evalsha: ") || !strings.Contains(err.Error(), "eval: ") {
		t.Errorf("got %v", err)
	}
}

// What the engine calls in scripts alone need not work by itself.
func TestProbeAsksNoMoreThanTheEngineNeeds(t *testing.T) {
	t.Parallel()
	alone := func(words []string) []string {
		if slices.Contains([]string{"getrange", "set", "pttl", "ping"}, strings.ToLower(words[0])) {
			words[0] = "none-such"
		}
		return words
	}
	expect(t, redisAt(t, managed(t, redistest.Start(t, healthy).Addr, alone)))
}

func redisAt(t *testing.T, address string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: address})
	t.Cleanup(func() { _ = client.Close() })
	return client
}
