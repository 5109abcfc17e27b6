package conformance

import (
	"testing"
	"time"
)

// where says on which backends a case runs.
type where int

const (
	everywhere where = iota
	standing         // time must pass: only where the clock moves when told to
	real             // a server must hang, or time pass by itself: not on the embedded server
)

// group is a set of cases on one part of the contract.
type group struct {
	name  string
	cases []testCase
}

// testCase is one behaviour. It runs in parallel with the others, with all that it uses its own.
type testCase struct {
	name string
	on   where
	run  func(b *trial)
}

// Run exercises an adapter with every case of the contract: once against the embedded server, once against a real
// redis-server, and once against a server that runs already. Without a redis-server in PATH the second part is skipped,
// see redistest.Require, and without a URL of a running one the third, see redistest.RequireRunning.
func Run(t *testing.T, adapter Adapter) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		runGroups(t, adapter, embeddedBackend(), everyGroup())
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		runGroups(t, adapter, redisBackend(t), everyGroup())
	})
	t.Run("running", func(t *testing.T) {
		t.Parallel()
		runGroups(t, adapter, runningBackend(t), everyGroup())
	})
}

// RunPaths exercises an adapter with the cases that depend on the router: uids, their encodings, the
// guard's parameter, both slash forms, methods, and the moment at which an answer goes out. It is for the
// further configurations of a router whose adapter passes Run, and needs no redis-server.
func RunPaths(t *testing.T, adapter Adapter) {
	t.Helper()
	runGroups(t, adapter, embeddedBackend(), pathGroups())
}

func everyGroup() []group {
	return append(pathGroups(),
		sessionCases, lingerCases, fenceCases, statusCases, bulkCases, takeoverCases, askCases, handoverCases, idleCases, scopeCases,
		userCases, browserCases, breakCases, orderCases, waitingCases, scriptCases, openAPICases, optionCases, renewalCases, hookCases, frameworkCases, outageCases, clockCases)
}

func pathGroups() []group { return []group{routeCases, uidCases, guardCases, releaseCases} }

func runGroups(t *testing.T, adapter Adapter, backend backend, groups []group) {
	t.Helper()
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				if (c.on == standing && backend.hang != nil) || (c.on == real && backend.hang == nil) {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(&trial{
						T: t, adapter: adapter, backend: backend, store: backend.open(t),
						began: time.Now(), names: make(map[string]string),
					})
				})
			}
		})
	}
}
