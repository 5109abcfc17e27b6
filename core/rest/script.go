package rest

import (
	"net/http"

	"github.com/editlock/editlock/core/browser"
)

// ScriptPath is a path under which an adapter can serve editlock.js, the module for browsers.
const ScriptPath = "/" + browser.Filename

// Script answers a request for editlock.js, the module for browsers.
func Script(r Request) *Response {
	return file(r, browser.ContentType, browser.CacheControl, browser.ETag(), browser.Script())
}

// file answers a request for a file that everybody may have.
func file(r Request, contentType, cacheControl, etag string, body []byte) *Response {
	header := []Field{{"Cache-Control", cacheControl}, {"ETag", etag}}
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return methodNotAllowed(http.MethodGet, http.MethodHead)
	case r.noneMatch(etag):
		return &Response{Status: http.StatusNotModified, Header: header}
	default:
		header = append(header, Field{"Content-Type", contentType}, Field{"X-Content-Type-Options", "nosniff"})
		return &Response{Status: http.StatusOK, Header: header, Body: body}
	}
}
