package office

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/editlock/editlock/core"
)

func open(t *testing.T) (*database, *Drafts) {
	t.Helper()
	db, err := openDatabase(t.Context(), "file:"+filepath.Join(t.TempDir(), "office.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.close(); err != nil {
			t.Error(err)
		}
	})
	return db, &Drafts{db.DB}
}

// A start on a database that has been used keeps its drafts, and gives the seeded accounts a new password.
func TestSeedTwice(t *testing.T) {
	db, drafts := open(t)
	first, err := db.seed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held := &core.Lock{UID: "menu", Fence: 7}
	if _, err := drafts.Save(t.Context(), held, "kept", 0); err != nil {
		t.Fatal(err)
	}
	second, err := db.seed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := newAccounts(db.DB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accounts.LogIn(t.Context(), "ann", first); !errors.Is(err, ErrLogIn) {
		t.Errorf("with the first password: %v", err)
	}
	ann, err := accounts.LogIn(t.Context(), "ann", second)
	if err != nil || ann != (Account{ID: 1, Name: "ann"}) {
		t.Errorf("with the second password: %+v, %v", ann, err)
	}
	if draft, err := drafts.Get(t.Context(), ann, "menu"); err != nil || draft.Body != "kept" || draft.Fence != 7 {
		t.Errorf("got %+v, %v", draft, err)
	}
	if _, err := accounts.LogIn(t.Context(), "nobody", second); !errors.Is(err, ErrLogIn) {
		t.Errorf("without an account: %v", err)
	}
}

// Whether somebody may edit is not known when the database does not answer: 503, and not 403.
func TestAuthorizeWithoutDatabase(t *testing.T) {
	db, drafts := open(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	err := drafts.Authorize(t.Context(), Account{ID: 1}, "menu")
	if !errors.Is(err, core.ErrUnavailable) || AsError(err).Status != http.StatusServiceUnavailable {
		t.Errorf("got %v", err)
	}
}

func TestRevision(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "7": 7, `"7"`: 7} {
		if got, err := Revision(text); got != want || err != nil {
			t.Errorf("%s: got %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "-1", "x", `W/"7"`, `"7", "8"`, "*"} {
		if got, err := Revision(text); !errors.Is(err, ErrBadRequest) {
			t.Errorf("%s: got %d, %v", text, got, err)
		}
	}
}

// What a fault says is for the log.
func TestAsError(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("wrapped: %w", ErrOvertaken), `409 {"message":"Somebody has edited this draft since you did."}`},
		{core.ErrUnavailable, `503 {"message":"It is not known who is editing. Please try again."}`},
		{errors.New("secret"), `500 {"message":"Internal Server Error."}`},
		{context.DeadlineExceeded, `500 {"message":"Internal Server Error."}`},
	} {
		told := AsError(test.err)
		body, err := told.MarshalJSON()
		if got := fmt.Sprintf("%d %s", told.Status, body); err != nil || got != test.want {
			t.Errorf("%v: got %s, %v", test.err, got, err)
		}
	}
}
