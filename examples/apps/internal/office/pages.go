package office

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"html/template"
	"io/fs"
	"net/http"
	"strings"

	"github.com/editlock/editlock/core/rest"
)

// ContentSecurityPolicy is enough for the pages and for editlock.js.
const ContentSecurityPolicy = "default-src 'self'"

// MaxBody is how long the body of a request may be.
const MaxBody = 1 << 20

// Page is what a page shows.
type Page struct {
	Account Account
	// CSRF is a token for the forms, if the framework's protection has one.
	CSRF    string
	Message string
	Text    string // that was not saved
	Draft   Draft
	Drafts  []Draft
	// Of the administrators' pages.
	Locks          []Row
	Search, Notice string
	More           bool // there are more locks than the page shows
}

//go:embed web
var web embed.FS

// Pages are the templates "login.html", "list.html", "draft.html", "published.html", "locks.html", "break.html" and
// "error.html", each with a Page.
var Pages = template.Must(template.ParseFS(web, "web/pages/*.html"))

// Render returns a page as it is sent.
func Render(name string, page Page) []byte {
	var b bytes.Buffer
	if err := Pages.ExecuteTemplate(&b, name, page); err != nil {
		panic(err) // the templates are part of the program
	}
	return b.Bytes()
}

// Rewrite makes a page of what a guard answers to a form with a text. It is for editlock's Error hook.
func Rewrite(refusal *rest.Response, path string, account Account, text string) {
	if IsAPI(path) {
		return // the JSON of editlock's contract
	}
	refusal.Header = append(refusal.Header, rest.Field{Name: "Content-Type", Value: "text/html; charset=utf-8"})
	refusal.Body = Render("error.html", Page{Account: account, Message: wordsOf(refusal.Status, refusal.Err), Text: text})
}

// ReadSave reads what a net/http request saves: the text from a form or from JSON, and the revision that it changes.
func ReadSave(r *http.Request) (body string, revision int64, err error) {
	match := r.Header.Get("If-Match")
	if !IsAPI(r.URL.Path) {
		if err := r.ParseForm(); err != nil || !r.PostForm.Has("body") {
			return "", 0, ErrBadRequest
		}
		revision, err = Revision(cmp.Or(match, r.PostForm.Get("revision")))
		return r.PostForm.Get("body"), revision, err
	}
	var input struct{ Body *string }
	if err := json.NewDecoder(r.Body).Decode(&input); err != nil || input.Body == nil {
		return "", 0, ErrBadRequest
	}
	revision, err = Revision(match)
	return *input.Body, revision, err
}

// Assets are the files that the pages load.
func Assets() fs.FS {
	files, err := fs.Sub(web, "web/assets")
	if err != nil {
		panic(err) // the name is not valid
	}
	return files
}

// IsAPI reports whether a path is one for programs, which are told of errors in JSON.
func IsAPI(path string) bool { return strings.HasPrefix(path, "/api/") }
