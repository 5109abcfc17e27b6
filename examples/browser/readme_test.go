package browser

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The lines with which the README puts the lock into a page of one's own, as they stand there: with the least
// of such a page around them, they do what the README says.

// ownPage makes the page in place of the one that is there, and then runs the lines.
const ownPage = `(async (lines) => {
	document.body.innerHTML = '<p id=banner></p><textarea id=editor readonly></textarea><button id=edit></button><button id=save></button>';
	const [banner, editor, editButton, saveButton] = document.body.children;
	const draft = '/api/drafts/draft-7';
	const load = async () => (await (await fetch(draft)).json()).text;
	const save = (text, headers) => fetch(draft, {
		method: 'PUT', headers: { ...headers, 'Content-Type': 'application/json' }, body: JSON.stringify({ text }),
	});
	const run = Object.getPrototypeOf(async () => {}).constructor;
	await new run('banner', 'editor', 'editButton', 'saveButton', 'load', 'save', lines)(
		banner, editor, editButton, saveButton, load, save);
})`

func readmeLines(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(text), "```js\n") {
		lines, _, _ := strings.Cut(block, "\n```")
		if first := "import { EditLock } from '/editlock.js';"; strings.HasPrefix(lines, first) {
			// A function cannot hold a static import.
			return "const { EditLock } = await import('/editlock.js');" + strings.TrimPrefix(lines, first)
		}
	}
	t.Fatal("the README has no such lines")
	return ""
}

func TestReadmesOwnPage(t *testing.T) {
	lines, err := json.Marshal(readmeLines(t))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, "nethttp", time.Minute)
	const blank = "/assets/style.css" // a document without scripts, from the server
	one, two := s.user("1").open(blank), s.user("2").open(blank)
	for _, page := range []*tab{one, two} {
		page.allow(`status of 404 .*/favicon\.ico`)
		page.until("a document", func(v view) bool { return v.Path == blank })
		evaluate[any](page, ownPage+"("+string(lines)+")")
	}
	// reads waits until the page says so, as its own banner and editor tell.
	reads := func(page *tab, what string) {
		t.Helper()
		evaluate[any](page, `new Promise((resolve) => {
			const look = () => `+what+` ? resolve(true) : requestAnimationFrame(look);
			look();
		})`)
	}
	reads(one, "banner.textContent === 'free' && editor.readOnly")
	evaluate[any](one, "edit.click()")
	reads(one, "banner.textContent === 'held' && !editor.readOnly")
	reads(two, "banner.textContent.endsWith('is editing') && editor.readOnly")
	evaluate[any](one, "editor.value = 'Hello', save.click()")
	s.answered(0, 1, of("1", "PUT", "/api/drafts/draft-7"))
	if got := s.text("draft-7"); got != "Hello" {
		t.Errorf("saved: %q", got)
	}
	if response := s.send("1", "DELETE", "/api/lock/draft-7/", nil); response.StatusCode != 204 {
		t.Fatal(response.Status)
	}
	reads(two, "banner.textContent === 'free'")
	evaluate[any](two, "edit.click()")
	reads(two, "banner.textContent === 'held' && !editor.readOnly && editor.value === 'Hello'")
}
