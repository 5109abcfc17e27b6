package demo

import (
	"strings"
	"testing"

	"github.com/editlock/editlock/core"
)

func TestUser(t *testing.T) {
	nobody := core.User{}
	for _, test := range []struct {
		name, header, cookies string
		want                  core.User
	}{
		{"nobody", "", "", nobody},
		{"integer", "1", "", core.User{ID: core.ID(1), Name: "User 1"}},
		{"string", "u-1", "", core.User{ID: core.ID("u-1"), Name: "u-1"}},
		{"zero is nobody", "0", "", core.User{}},
		{"sign is no digit", "-1", "", core.User{ID: core.ID("-1"), Name: "-1"}},
		{"largest integer", "9007199254740992", "", core.User{ID: core.ID(int64(1 << 53)), Name: "User 9007199254740992"}},
		{"beyond it", "9007199254740993", "", core.User{ID: core.ID("9007199254740993"), Name: "User 9007199254740993"}},
		{"beyond 64 bits", "99999999999999999999", "", core.User{ID: core.ID("99999999999999999999"), Name: "User 99999999999999999999"}},
		{"header goes first", "1", "user_id=2", core.User{ID: core.ID(1), Name: "User 1"}},
		{"empty header", " ", "user_id=2", core.User{ID: core.ID(2), Name: "User 2"}},
		{"cookie among others", "", "a=b; user_id=2; c=d", core.User{ID: core.ID(2), Name: "User 2"}},
		{"cookie's name in another's", "", "xuser_id=2", nobody},
		{"escaped cookie", "", "user_id=J%C3%B8rgen%20+%2F", core.User{ID: core.ID("Jørgen +/"), Name: "Jørgen +/"}},
		{"escaped digit", "", "user_id=%31", core.User{ID: core.ID(1), Name: "User 1"}},
		{"not an escape", "", "user_id=50%", core.User{ID: core.ID("50%"), Name: "50%"}},
		{"header is not escaped", "a%20b", "", core.User{ID: core.ID("a%20b"), Name: "a%20b"}},
		{"empty cookie", "", "user_id=", nobody},
		{"too long", strings.Repeat("x", 255+1), "", nobody},
		{"not UTF-8", "\xff", "", nobody},
		{"not UTF-8 in the cookie", "", "user_id=%FF", nobody},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := User(test.header, test.cookies); got != test.want {
				t.Errorf("got %#v, want %#v", got, test.want)
			}
		})
	}
}
