package rest

import (
	"net/http"

	"github.com/editlock/editlock/core/browser"
)

// ScriptPath is a path under which an adapter can serve editlock.js, the module for browsers.
const ScriptPath = "/" + browser.Filename

// Script answers a request for editlock.js, the module for browsers.
func Script(r Request) *Response {
	header := []Field{{"Cache-Control", browser.CacheControl}, {"ETag", browser.ETag()}}
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return methodNotAllowed(http.MethodGet, http.MethodHead)
	case r.noneMatch(browser.ETag()):
		return &Response{Status: http.StatusNotModified, Header: header}
	default:
		header = append(header, Field{"Content-Type", browser.ContentType}, Field{"X-Content-Type-Options", "nosniff"})
		return &Response{Status: http.StatusOK, Header: header, Body: browser.Script()}
	}
}
