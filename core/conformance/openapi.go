package conformance

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/editlock/editlock/core/rest"
)

var openAPICases = group{"the OpenAPI document", []testCase{
	{"is served with an entity tag, to everybody", everywhere, serveOpenAPI},
	{"names the paths of the application", everywhere, func(b *trial) {
		namesPaths(b, func(*App) {})
		namesPaths(b, func(app *App) { app.Path = "/edit/lock" })
	}},
	{"names the paths below a group", everywhere, func(b *trial) {
		namesPaths(b, func(app *App) { app.Prefix = "/v1" })
	}},
	{"names the paths below a mount", everywhere, func(b *trial) {
		namesPaths(b, func(app *App) { app.Mount = "/mounted" })
	}},
	{"names the paths below a group in a mount", everywhere, func(b *trial) {
		namesPaths(b, func(app *App) { app.Mount, app.Prefix, app.Path = "/mounted", "/v1", "/edit/lock" })
	}},
}}

func serveOpenAPI(b *trial) {
	s := b.serve(func(app *App) { app.OpenAPI = "/docs" + rest.OpenAPIPath })
	at := s.base() + s.app.OpenAPI
	c := s.anonymous()
	got := c.do("GET", at).answered(200)
	tags := got.values("Etag")
	if len(tags) != 1 || len(tags[0]) < 10 {
		b.Fatalf("entity tags are %q", tags)
	}
	const cached = "Cache-Control: no-cache\n"
	tag := "Etag: " + tags[0]
	whole := "200\n" + cached + "Content-Type: application/json\n" + tag + "\nX-Content-Type-Options: nosniff\n\n"
	if got.block() != whole+got.body {
		b.Fatalf("got\n%.300s", got.block())
	}
	if head := c.do("HEAD", at).answered(200); head.length != len(got.body) {
		b.Fatalf("the HEAD says %d bytes, the GET has %d", head.length, len(got.body))
	}
	c.do("GET", at, "If-None-Match: "+tags[0]).want("304\n" + cached + tag)
	c.do("GET", at, `If-None-Match: "other"`).answered(200)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		c.do(method, at).want(methodNotAllowed("GET, HEAD"))
	}
}

// namesPaths demands that the document leads a client to the lock routes.
func namesPaths(b *trial, change func(*App)) {
	s := b.serve(change, func(app *App) { app.OpenAPI = "/docs" + rest.OpenAPIPath })
	got := s.anonymous().do("GET", s.base()+s.app.OpenAPI+"?x=1").answered(200)
	var document struct {
		Servers []struct{ URL string }
		Paths   map[string]any
	}
	if err := json.Unmarshal([]byte(got.body), &document); err != nil {
		b.Fatal(err)
	}
	server := ""
	if len(document.Servers) > 0 {
		server = document.Servers[0].URL
	}
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		paths = append(paths, server+path)
	}
	if want := []string{s.lock("{uid}"), s.ask("{uid}"), s.handover("{uid}"), s.takeover("{uid}"), s.root() + "s/"}; !slices.Equal(paths, want) {
		b.Fatalf("the paths are %q, want %q", paths, want)
	}
}
