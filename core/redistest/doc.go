// Package redistest gives tests real Redis servers of their own, and the faults that real networks have.
//
// The rule of this room: everything it starts belongs to one test and ends with it, on Linux also when
// the test binary is killed; and nothing here waits for time to pass where an event or a state can be
// awaited. So tests may run in parallel and repeatedly, and a fault hits nobody but the test that asked
// for it.
//
//	server := redistest.Start(t)                     // 13 ms; StartCluster and StartSentinel take 2 to 3 s
//	proxy := redistest.StartProxy(t, server.Addr)
//	client := server.Client(t, func(o *redis.Options) { o.Addr = proxy.Addr })
//	proxy.DropReplies(1)                             // the next command is applied, and nobody hears of it
//
// Whatever goes wrong in a helper fails the test it was started for. What may end that test at once
// (anything that waits for a cluster or for sentinels) belongs on the test's own goroutine; the faults of
// a [Server] and of a [Proxy] may be switched from any goroutine.
//
// Without redis-server in PATH tests are skipped, see [Require].
package redistest
