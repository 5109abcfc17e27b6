package demo

import (
	"embed"
	"net/http"
	"path"
)

//go:embed web
var web embed.FS

// The pages. What they show is fetched by their scripts.
const (
	ListPage   = "list.html"
	EditorPage = "editor.html"
)

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// File answers with a page, or with one of the files that the pages load from /assets/.
func File(name string) Answer {
	contentType, known := contentTypes[path.Ext(name)]
	body, err := web.ReadFile("web/" + name)
	if err != nil || !known {
		return Refuse(http.StatusNotFound, "Not found")
	}
	return Answer{Status: http.StatusOK, Body: body, Header: map[string]string{
		"Content-Type":            contentType,
		"Cache-Control":           "no-cache",
		"Content-Security-Policy": "default-src 'self'",
		"X-Content-Type-Options":  "nosniff",
	}}
}
