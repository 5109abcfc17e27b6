package demo

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/editlock/editlock/core"
)

// User is who the caller claims to be: the value of the header X-User-ID, else the one of the cookie
// user_id, which the page sets. It stands in for a real log-in and proves nothing: an application names
// the user from its own session, never from what a client may write.
//
// Digits are an integer id, anything else a string id, which may be URL-escaped in the cookie. Neither
// is nobody, and so is an id that cannot be one.
func User(header, cookies string) core.User {
	text := strings.TrimSpace(header)
	if text == "" {
		text = userCookie(cookies)
	}
	var user core.User
	switch n, err := strconv.ParseUint(text, 10, 64); {
	case strings.Trim(text, "0123456789") != "":
		user = core.User{ID: core.ID(text), Name: text}
	case err == nil && n <= 1<<53:
		user = core.User{ID: core.ID(int64(n)), Name: "User " + strconv.FormatUint(n, 10)}
	case text != "": // browsers would round it
		user = core.User{ID: core.ID(text), Name: "User " + text}
	}
	if user.Validate() != nil {
		return core.User{}
	}
	return user
}

// userCookie is the cookie's value. It parses for all frameworks, since theirs differ in what they unescape.
func userCookie(cookies string) string {
	request := http.Request{Header: http.Header{"Cookie": {cookies}}}
	cookie, err := request.Cookie("user_id")
	if err != nil {
		return ""
	}
	text := cookie.Value
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	return strings.TrimSpace(text)
}
