// Package conformance is the contract as tests: one suite that every adapter must pass, also one that is
// written elsewhere.
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, conformance.Adapter{Name: "mymw", Serve: serve})
//	}
//
// serve builds, in the framework's idiom, the application that an [App] describes, and starts it. The
// tests of the project's own adapters are examples of about a hundred lines.
//
// # What it compares
//
// Requests go over raw TCP on keep-alive connections, so that odd encodings arrive as they were written
// and whatever a server sends too much is seen. An answer is compared as a whole: status, all the headers
// but Date, and the bytes of the body. What is expected is written out from the contract and never
// computed by the code under test, so two adapters that pass answer alike. Headers that the contract does
// not name are faults, with two exceptions: Content-Length must be there and right wherever an answer can
// have a body, and it is compared with the body instead of with the contract.
//
// Where the contract leaves the wording of a message open, the wording of package rest is pinned in one
// table (messages.go): bytes that nobody wrote down could not be compared.
//
// # Where it runs
//
// Each case has a store, an application and connections of its own; cases run in parallel. [Run] runs
// them on each kind of server. Against the embedded server the clock stands still until a case moves it, so times are
// exact and long ones cost nothing. Against a real redis-server (see redistest.Require) the same cases
// run on a clock that goes: times are compared with what can have passed since the case began. With the URL of a server
// that runs already, in EDITLOCK_TEST_REDIS_URL, it runs them there too (see redistest.RequireRunning): on a server of
// another make, or one that is somewhere else.
//
// Cases in which minutes must pass run on the embedded server alone. That loses nothing that is the
// adapter's: time is decided in the engine's scripts, and that these decide alike on both servers is
// shown by short timeouts on the real one (expiry, renewal by a guard, linger). Cases in which a server
// hangs or a connection is slow need the real one.
//
// # What it leaves out
//
// What a framework cannot do is said in [Adapter.Cannot], with the reason, and appears as a skipped test.
package conformance
