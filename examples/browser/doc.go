// Package browser drives the four examples with a real browser: two people, each in a browser context of
// their own, on the same drafts.
//
//	go test ./...                                        # needs redis-server and chromium in PATH
//	go test -run 'TestReload/echo' -v ./...              # one scenario on one framework
//	EDITLOCK_PICTURES=/tmp/pictures go test -run /nethttp ./...  # pictures of the page's states
//
// The rule of this room: nothing sleeps. A page tells each change of what it shows at the moment it
// happens (recorder.js), the proxy in front of the server tells each request (front_test.go), and a
// scenario waits for one of these. A fault is made where it happens: a request is stopped or refused in
// the proxy, Redis is stopped, a tab is hidden, frozen, cut off or closed.
//
// All scenarios run on each framework, but for those that lie between the page and its browser (a hidden
// page, typing while the lock is taken away, saves that are lost on their way). Those that count
// milliseconds run alone, the others four at a time. They make no demands on the machine's speed but the
// one that is their subject: a page that was away for longer than its lock lingers, say, because the
// machine was slow, tries again.
//
// Every scenario fails on a console error, an uncaught exception or a violation of the content security
// policy that it has not announced, and on text that was typed and is nowhere to be found.
//
// It is a module of its own, so that nobody who uses editlock inherits what drives the browser. Without
// chromium or redis-server the tests are skipped; with EDITLOCK_TEST=full in the environment they fail.
package browser
