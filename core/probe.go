package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Severity says what a Finding means for locks. The higher, the worse.
type Severity int

// The severities.
const (
	// SeverityNote: nothing has to be done, or something could not be asked.
	SeverityNote Severity = iota
	// SeverityLate: who waits may hear of a change late, after 30 s at the most. No lock is at risk.
	SeverityLate
	// SeverityWeak: the engine works, and a lock may be lost, or end early or late.
	SeverityWeak
	// SeverityUnavailable: a server did not answer now. Asking again may help.
	SeverityUnavailable
	// SeverityUnfit: the engine cannot work like this.
	SeverityUnfit
)

// String returns one word: note, late, weak, unavailable or unfit.
func (s Severity) String() string {
	switch s {
	case SeverityNote:
		return "note"
	case SeverityLate:
		return "late"
	case SeverityWeak:
		return "weak"
	case SeverityUnavailable:
		return "unavailable"
	case SeverityUnfit:
		return "unfit"
	default:
		return fmt.Sprintf("severity %d", int(s))
	}
}

// checkKeys is the check of an ACL's keys.
const checkKeys = "keys"

// Finding is one thing that CheckServer has to say about a server.
type Finding struct {
	// Server is the master's host:port where the client leads to several; empty otherwise.
	Server string
	// Check is the short name of what was asked, and stays the same between versions: a command such as evalsha, or
	// answer, cluster, clock, config, index, info, keys, channels, masters, maxmemory-policy, memory, min-replicas-to-write,
	// persistence, replica, replica-read-only, shards or version. A command that only scripts are refused has
	// " in a script" after its name.
	Check    string
	Severity Severity
	// Means says what was found and what follows from it, Remedy what to do: a line each. Remedy may be empty.
	Means, Remedy string
	// Err is ErrUnfit, ErrUnavailable or ErrMayEvict, and wraps what Redis answered; nil where it is none of these.
	Err error
}

// String returns the finding as one line.
func (f Finding) String() string {
	line := f.Check + ": " + f.Means
	if f.Server != "" {
		line = f.Server + ": " + line
	}
	if f.Remedy != "" {
		line += "; " + f.Remedy
	}
	return line
}

// findingError is the error of a finding that must not be passed over.
type findingError struct{ Finding }

func (e *findingError) Error() string {
	sentinel := ErrUnavailable
	if e.Severity == SeverityUnfit {
		sentinel = ErrUnfit
	}
	return sentinel.Error() + ": " + e.String()
}

func (e *findingError) Unwrap() error { return e.Err }

// CheckServer tries on every master of client what a Locker with these options will need of it, and looks for
// settings that weaken what a lock promises. The findings are sorted, the worst first. They may be without an error:
// log them. The error is ErrUnfit where the engine cannot work, ErrUnavailable where a master did not answer, both
// where both is true, and ErrInvalid for what New refuses; its text names each finding behind it and what to do.
//
// Open does this and logs what weakens; with a client of your own, call it at start. It needs no more rights than the
// engine: what it may not ask (INFO, CONFIG) is a note. It writes one key of its own, which is no resource's and ends
// within a second, and publishes on the channel of that name. It ends when ctx ends, if the client honours contexts.
func CheckServer(ctx context.Context, client Client, options Options) ([]Finding, error) {
	locker, err := New(client, options)
	if err != nil {
		return nil, err
	}
	findings := examine(ctx, client, locker.prefix, locker.indexed)
	return findings, errors.Join(verdict(findings), locker.Close())
}

// verdict returns the error that findings amount to.
func verdict(findings []Finding) error {
	var list []error
	for _, f := range findings {
		if f.Severity >= SeverityUnavailable {
			list = append(list, &findingError{f})
		}
	}
	return errors.Join(list...)
}

// masters is what a client of a cluster offers.
type masters interface {
	ForEachMaster(ctx context.Context, do func(ctx context.Context, master *redis.Client) error) error
	MasterForKey(ctx context.Context, key string) (*redis.Client, error)
}

// examine returns what is to say about the servers behind the client, sorted.
// indexed says that the Locker keeps an index.
func examine(ctx context.Context, client Client, prefix string, indexed bool) []Finding {
	var probes []*probe
	var findings []Finding
	if cluster, ok := client.(masters); ok {
		var err error
		if probes, err = probesOf(ctx, cluster, prefix); err != nil {
			findings = append(findings, Finding{
				Check: "masters", Severity: SeverityUnavailable, Means: "the cluster's masters are not known: " + brief(err),
				Remedy: "look at CLUSTER NODES", Err: fmt.Errorf("%w: %w", ErrUnavailable, err),
			})
		}
	} else {
		_, single := client.(interface{ Options() *redis.Options })
		probes = []*probe{{client: client, prefix: prefix, key: probeKey(prefix, 0), single: single}}
	}
	var work sync.WaitGroup
	for _, p := range probes {
		p.indexed = indexed
		work.Go(func() { p.run(ctx) })
	}
	work.Wait()
	for _, p := range probes {
		findings = append(findings, p.findings...)
	}
	findings = append(findings, compareClocks(probes)...)
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), strings.Compare(a.Check, b.Check), strings.Compare(a.Server, b.Server))
	})
	return findings
}

// maxKeys bounds the search for a key of each master. Of a thousand masters, each has one among the first 20,000.
const maxKeys = 20_000

// probesOf returns a probe of each master, with a key that this master has.
func probesOf(ctx context.Context, cluster masters, prefix string) ([]*probe, error) {
	var mu sync.Mutex
	missing := make(map[*redis.Client]bool)
	err := cluster.ForEachMaster(ctx, func(_ context.Context, master *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		missing[master] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	var probes []*probe
	for i := 0; i < maxKeys && len(missing) > 0; i++ {
		key := probeKey(prefix, i)
		master, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return probes, err
		}
		if missing[master] {
			delete(missing, master) // those that stay have no slot, and so no lock
			probes = append(probes, &probe{client: master, prefix: prefix, key: key, server: master.Options().Addr, cluster: true})
		}
	}
	if len(probes) == 0 {
		return nil, errors.New("none has a slot")
	}
	return probes, nil
}

// probeKey names a key of the probe's. A resource's key ends with '}', so it is none, whatever the prefix.
func probeKey(prefix string, number int) string { return fmt.Sprintf("%s{%d}-probe", prefix, number) }
