package rest

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/url"
	"strings"
)

// OpenAPIPath is a path under which an adapter can serve the OpenAPI document of the lock routes.
const OpenAPIPath = "/openapi.json"

// openAPI describes the lock routes under defaultPath.
//
//go:embed openapi.json
var openAPI string

// OpenAPI answers a request for the OpenAPI document of the lock routes, which an adapter serves under path. The document
// names the paths as Config.Path has them. What stands before path in r.Target, such as a group's prefix, is its server:
// the lock routes are to be served on the same router. It is application/json, which every tool and every browser reads,
// and not application/vnd.oai.openapi+json, which some take for a download.
func (a *API[C]) OpenAPI(r Request, path string) *Response {
	body := describe(a.config.Path, before(path, r.Target))
	sum := sha256.Sum256(body)
	// As for the script, a cache asks first: the document changes with an upgrade of the server.
	return file(r, jsonType.Value, "no-cache", `"`+base64.RawURLEncoding.EncodeToString(sum[:16])+`"`, body)
}

// describe returns the document for the routes under path, below a server's path if there is one.
func describe(path, server string) []byte {
	text := strings.ReplaceAll(openAPI, `"`+defaultPath, strings.TrimSuffix(quote(path), `"`))
	if server != "" {
		servers := `"servers": [{"url": ` + quote(server) + `}],` + "\n  "
		text = strings.Replace(text, `"paths": {`, servers+`"paths": {`, 1)
	}
	return []byte(text)
}

func quote(s string) string { return string(appendString(nil, s)) }

// before returns the part of a request's target that stands before path, still escaped, and nothing if the target does
// not end with path.
func before(path, target string) string {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return ""
	}
	prefix, found := strings.CutSuffix(strings.TrimSuffix(u.EscapedPath(), "/"), "/"+strings.Trim(path, "/"))
	if !found || strings.HasPrefix(prefix, "//") { // a client would take "//name" for another host
		return ""
	}
	return prefix
}
