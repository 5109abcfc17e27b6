// Package browser carries editlock.js, the page's part of an edit lock: an ES module without dependencies
// that acquires a lock, renews it, notices when it is gone and releases it when the page is left.
//
// It is embedded, so that the module a page loads is the one that fits the server that answers it. An
// adapter serves [Script] with [ContentType], [CacheControl] and [ETag], from the page's own origin: the module
// starts itself as a worker, which browsers allow only there, and then a policy of default-src 'self' is enough.
// How a page uses it is in editlock.d.ts, which [Declarations] returns.
package browser

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
)

const (
	// Filename is the name that the module and its declarations expect it to be served under.
	Filename = "editlock.js"
	// ContentType is what a browser insists on for a module.
	ContentType = "text/javascript; charset=utf-8"
	// CacheControl lets a cache keep the module but ask first: after an upgrade of the server no page
	// goes on with the old one, and otherwise the answer is a 304.
	CacheControl = "no-cache"
)

//go:embed editlock.js
var script string

//go:embed editlock.d.ts
var declarations string

var etag = func() string {
	sum := sha256.Sum256([]byte(script))
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}()

// Script returns the module. The slice is the caller's own.
func Script() []byte { return []byte(script) }

// Declarations returns the module's TypeScript declarations, editlock.d.ts.
func Declarations() []byte { return []byte(declarations) }

// ETag returns the strong entity tag of [Script], with its quotes: the same bytes have the same tag in every process.
func ETag() string { return etag }
