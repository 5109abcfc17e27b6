package conformance

import "github.com/editlock/editlock/core/browser"

var scriptCases = group{"the browser's module", []testCase{
	{"is served with an entity tag, to everybody", everywhere, serveScript},
}}

func serveScript(b *trial) {
	s := b.serve(func(app *App) { app.Script = "/assets/editlock.js" })
	at := s.base() + s.app.Script
	cached := "Cache-Control: no-cache\n"
	tag := "Etag: " + browser.ETag()
	whole := "200\n" + cached + "Content-Type: text/javascript; charset=utf-8\n" + tag + "\nX-Content-Type-Options: nosniff\n\n"
	c := s.anonymous()
	got := c.do("GET", at).answered(200)
	if got.body != string(browser.Script()) || got.block() != whole+got.body {
		b.Fatalf("got\n%.300s", got.block())
	}
	head := c.do("HEAD", at).answered(200)
	if head.length != len(browser.Script()) {
		b.Fatalf("the HEAD says %d bytes", head.length)
	}
	c.do("GET", at, "If-None-Match: "+browser.ETag()).want("304\n" + cached + tag)
	c.do("GET", at, `If-None-Match: "other"`).answered(200)
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		c.do(method, at).want(methodNotAllowed("GET, HEAD"))
	}
}
