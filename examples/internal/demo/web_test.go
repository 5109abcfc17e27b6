package demo

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestPages(t *testing.T) {
	references := regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	// What default-src 'self' would block.
	inline := regexp.MustCompile(`(?i)<style|<script(?:>|[^>]*>[^<])|\s(?:style|on[a-z]+)=`)
	for _, name := range []string{ListPage, EditorPage} {
		page := File(name)
		if page.Status != 200 || page.Header["Content-Security-Policy"] != "default-src 'self'" ||
			page.Header["Content-Type"] != "text/html; charset=utf-8" {
			t.Errorf("%s: got %d %v", name, page.Status, page.Header)
		}
		if found := inline.Find(page.Body); found != nil {
			t.Errorf("%s: inline %s", name, found)
		}
		for _, match := range references.FindAllSubmatch(page.Body, -1) {
			target := string(match[1])
			if asset, ok := strings.CutPrefix(target, "/assets/"); ok {
				if File(asset).Status != 200 {
					t.Errorf("%s refers to %s, which is not there", name, target)
				}
			} else if target != "/" && target != "#kept" {
				t.Errorf("%s refers to %s", name, target)
			}
		}
	}
}

// A module that is missing, or comes from elsewhere, would leave the page without its script.
func TestScriptsImportWhatIsThere(t *testing.T) {
	imports := regexp.MustCompile(`(?m)^import .* from '([^']*)'`)
	seen := 0
	for name, file := range scripts(t) {
		for _, match := range imports.FindAllSubmatch(file.Body, -1) {
			seen++
			target := string(match[1])
			own, ok := strings.CutPrefix(target, "./")
			if target != "/editlock.js" && (!ok || File(own).Status != 200) {
				t.Errorf("%s imports %s", name, target)
			}
		}
	}
	if seen == 0 {
		t.Error("no imports found")
	}
}

// Texts and names come from users, so none of them may become markup.
func TestScriptsSetNoMarkup(t *testing.T) {
	for name, file := range scripts(t) {
		if file.Status != 200 || file.Header["Content-Type"] != "text/javascript; charset=utf-8" {
			t.Errorf("%s: got %d %v", name, file.Status, file.Header)
		}
		if found := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(`).Find(file.Body); found != nil {
			t.Errorf("%s has %s", name, found)
		}
	}
}

func scripts(t *testing.T) map[string]Answer {
	t.Helper()
	paths, err := fs.Glob(web, "web/*.js")
	if err != nil || len(paths) == 0 {
		t.Fatalf("got %v, %v", paths, err)
	}
	files := map[string]Answer{}
	for _, name := range paths {
		files[path.Base(name)] = File(path.Base(name))
	}
	return files
}

func TestFileNotFound(t *testing.T) {
	for _, name := range []string{"", "none.js", "../drafts.go", "../draft.lua", "..", "/list.html", "web/list.html"} {
		if got := File(name); got.Status != 404 {
			t.Errorf("%q: got %d", name, got.Status)
		}
	}
}
