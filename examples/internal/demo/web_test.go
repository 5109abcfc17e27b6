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

// Texts and names come from users, so none of them may become markup.
func TestScriptsSetNoMarkup(t *testing.T) {
	scripts, err := fs.Glob(web, "web/*.js")
	if err != nil || len(scripts) == 0 {
		t.Fatal(scripts, err)
	}
	for _, script := range scripts {
		name := path.Base(script)
		file := File(name)
		if file.Status != 200 || file.Header["Content-Type"] != "text/javascript; charset=utf-8" {
			t.Errorf("%s: got %d %v", name, file.Status, file.Header)
		}
		if found := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(`).Find(file.Body); found != nil {
			t.Errorf("%s has %s", name, found)
		}
	}
}

func TestFileNotFound(t *testing.T) {
	for _, name := range []string{"", "none.js", "../drafts.go", "../draft.lua", "..", "/list.html", "web/list.html"} {
		if got := File(name); got.Status != 404 {
			t.Errorf("%q: got %d", name, got.Status)
		}
	}
}
