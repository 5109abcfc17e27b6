package rest

import (
	"os"
	"strings"
	"testing"
)

// TestMessagesAreOnThePage: clients may compare the messages that come with more than a message, or of which a page must
// tell the reader something.
func TestMessagesAreOnThePage(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"CONTRACT.md", "openapi.json"} {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range []string{messageInUse, messageOwnInUse, messageMoved, messageForgotten, messageBroken} {
			if !strings.Contains(string(page), `"`+message+`"`) {
				t.Errorf("%s lacks %q", name, message)
			}
		}
	}
}

func TestEachRouteHasASection(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("CONTRACT.md")
	if err != nil {
		t.Fatal(err)
	}
	a := API[any]{config: Config[any]{Path: defaultPath}}
	for _, endpoint := range a.Endpoints("{uid}") {
		if !strings.HasSuffix(endpoint.Path, "/") {
			continue
		}
		for _, method := range allowed[endpoint.Route] {
			if !hasSection(string(page), method, endpoint.Path) {
				t.Errorf("CONTRACT.md has no section for %s %s", method, endpoint.Path)
			}
		}
	}
}

// hasSection reports whether a heading of the page names the method and the path.
func hasSection(page, method, path string) bool {
	for line := range strings.SplitSeq(page, "\n") {
		heading, found := strings.CutPrefix(line, "### ")
		before, _, named := strings.Cut(heading, " "+path)
		_, query, _ := strings.Cut(heading, path)
		if found && named && (query == "" || query[0] == '?') && strings.Contains(", "+before+",", ", "+method+",") {
			return true
		}
	}
	return false
}
