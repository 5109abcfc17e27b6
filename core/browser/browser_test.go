package browser_test

import (
	"bytes"
	"compress/gzip"
	"mime"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/editlock/editlock/core/browser"
)

func TestScriptIsTheFile(t *testing.T) {
	for name, got := range map[string][]byte{
		browser.Filename: browser.Script(),
		"editlock.d.ts":  browser.Declarations(),
	} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what is embedded", name)
		}
	}
	clear(browser.Script())
	if bytes.Contains(browser.Script(), []byte{0}) {
		t.Error("a caller can change the script")
	}
}

func TestETagIsStrong(t *testing.T) {
	// RFC 9110, 8.8.3: a quoted string of visible characters; without W/ it is strong.
	if !regexp.MustCompile(`^"[A-Za-z0-9_-]{22}"$`).MatchString(browser.ETag()) {
		t.Errorf("ETag %s", browser.ETag())
	}
}

func TestContentType(t *testing.T) {
	kind, params, err := mime.ParseMediaType(browser.ContentType)
	if err != nil || kind != "text/javascript" || params["charset"] != "utf-8" {
		t.Errorf("%s: %v %v %v", browser.ContentType, kind, params, err)
	}
}

// maxPacked is how many bytes the script may take, gzipped: every page loads it.
const maxPacked = 6500

func TestScriptIsSmall(t *testing.T) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(browser.Script()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d gzipped", len(browser.Script()), packed.Len())
	if packed.Len() > maxPacked {
		t.Errorf("%d bytes gzipped, more than %d", packed.Len(), maxPacked)
	}
}

func TestScriptStandsAlone(t *testing.T) {
	for _, pattern := range []string{`(?m)^\s*import\s`, `\bimport\(`, `\brequire\(`, `https?://`} {
		if found := regexp.MustCompile(pattern).Find(browser.Script()); found != nil {
			t.Errorf("found %q", found)
		}
	}
}

// The compiler compares the types (types.check.mjs), but it has to be fetched; the names are compared here.
func TestDeclarationsNameWhatTheScriptHas(t *testing.T) {
	js, dts := string(browser.Script()), string(browser.Declarations())

	exports := regexp.MustCompile(`(?m)^export (?:declare )?(?:async )?(?:class|function|const|let) (\w+)`)
	if got, want := names(exports, js), names(exports, dts); !slices.Equal(got, want) || len(got) == 0 {
		t.Errorf("the script exports %v, the declarations %v", got, want)
	}
	if regexp.MustCompile(`(?m)^export (\{|default|\*)`).MatchString(js + dts) {
		t.Error("an export that this test cannot see")
	}

	member := regexp.MustCompile(`(?m)^  (?:readonly |get |async )*(\w+)(?:\(| =|: )`)
	inherited := []string{"addEventListener", "constructor", "removeEventListener"}
	public := func(text string) []string {
		_, body, found := strings.Cut(text, "export class EditLock ")
		body, _, end := strings.Cut(body, "\n}\n")
		if !found || !end {
			t.Fatal("no class EditLock")
		}
		return slices.DeleteFunc(names(member, body), func(name string) bool {
			return slices.Contains(inherited, name)
		})
	}
	got, want := public(js), public(dts)
	if !slices.Equal(got, want) || len(got) < 10 {
		t.Errorf("members of EditLock\nin the script:       %v\nin the declarations: %v", got, want)
	}
}

func names(pattern *regexp.Regexp, text string) []string {
	var found []string
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}
