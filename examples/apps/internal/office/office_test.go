package office

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// Who has no right learns nothing and changes nothing, and the database is not asked.
func TestOnlyAdminsSeeAndEndEdits(t *testing.T) {
	app := &App{}
	for _, test := range []struct {
		account Account
		status  int
	}{{Account{}, 401}, {Account{ID: 1, Name: "ann"}, 403}} {
		_, list := app.LocksPage(t.Context(), test.account, "", "")
		_, ask := app.BreakPage(t.Context(), test.account, "menu", "1")
		_, end := app.Break(t.Context(), test.account, "menu", "1")
		for _, err := range []error{list, ask, end} {
			if AsError(err).Status != test.status {
				t.Errorf("%+v: %v", test.account, err)
			}
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 59900 * time.Millisecond: "59 s", 63 * time.Second: "1 min 3 s", 2*time.Hour + 5*time.Minute: "2 h 5 min",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

func TestLocksPageShowsAsManyAsItCan(t *testing.T) {
	db, drafts := open(t)
	if _, err := db.seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Setenv(core.EnvURL, "")
	client, _, closeRedis, err := openRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeRedis() })
	locker, err := core.New(client, core.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locker.Close() })
	app, mia := &App{Locker: locker, Drafts: drafts}, Account{ID: 3, Name: "mia", Admin: true}
	for i := range maxRows + 1 {
		if _, err := locker.Mutex(fmt.Sprintf("draft-%d", i), time.Minute, core.User{ID: core.ID(1)}).Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Set(t.Context(), "editlock:{broken}", "no record", 0).Err(); err != nil {
		t.Fatal(err)
	}
	page, err := app.LocksPage(t.Context(), mia, "", "")
	if err != nil || len(page.Locks) != maxRows || !page.More {
		t.Errorf("%d locks, more %v, %v", len(page.Locks), page.More, err)
	}
	page, err = app.LocksPage(t.Context(), mia, "broken", "")
	if err != nil || len(page.Locks) != 1 || !strings.Contains(string(Render("locks.html", page)), "is not known") {
		t.Errorf("a record that is none: %+v, %v", page.Locks, err)
	}
}
