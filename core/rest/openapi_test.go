package rest

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestBefore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ path, target, want string }{
		{"/openapi.json", "/openapi.json", ""},
		{"/openapi.json", "/openapi.json?x=/openapi.json", ""},
		{"/openapi.json", "/v1/openapi.json", "/v1"},
		{"openapi.json", "/v1/openapi.json/", "/v1"},
		{"/docs/api.json", "/app/v%31/docs/api.json?x", "/app/v%31"},
		{"/openapi.json", "http://example.org/v1/openapi.json", "/v1"},
		{"/openapi.json", `/t/{"<é>"}/openapi.json`, "/t/%7B%22%3C%C3%A9%3E%22%7D"},
		// What no prefix can be read of.
		{"/:name", "/v1/openapi.json", ""},
		{"/openapi.json", "/v1/openapi.JSON", ""},
		{"/openapi.json", "/v1openapi.json", ""},
		{"/openapi.json", "//example.org/openapi.json", ""},
		{"/openapi.json", `/\example.org/openapi.json`, "/%5Cexample.org"},
		{"/openapi.json", "/%zz/openapi.json", ""},
		{"/openapi.json", "", ""},
	} {
		if got := before(test.path, test.target); got != test.want {
			t.Errorf("%s in %s: got %q, want %q", test.path, test.target, got, test.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ path, server string }{
		{defaultPath, ""}, {"/edit/lock", ""}, {defaultPath, "/v1"}, {`/é<"\>`, `/v1"<`},
	} {
		var document struct {
			Servers []struct{ URL string }
			Paths   map[string]any
		}
		if err := json.Unmarshal(describe(test.path, test.server), &document); err != nil {
			t.Fatalf("%+v: %v", test, err)
		}
		var paths, servers []string
		for path := range document.Paths {
			paths = append(paths, path)
		}
		for _, server := range document.Servers {
			servers = append(servers, server.URL)
		}
		slices.Sort(paths)
		var want []string
		for _, end := range []string{"/{uid}/", "/{uid}/ask/", "/{uid}/handover/", "/{uid}/takeover/", "s/"} {
			want = append(want, test.path+end)
		}
		if !slices.Equal(paths, want) {
			t.Errorf("paths are %q, want %q", paths, want)
		}
		if want := slices.DeleteFunc([]string{test.server}, func(s string) bool { return s == "" }); !slices.Equal(servers, want) {
			t.Errorf("servers are %q, want %q", servers, want)
		}
	}
}
