package save

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"regexp"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/editlock/editlock/core"
)

func TestSaveRefusesALowerFence(t *testing.T) {
	page, err := os.ReadFile("../../../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile("(?ms)^```sql\n(.*?)^```$").FindSubmatch(page)
	db, err := sql.Open("sqlite", "file:drafts?mode=memory&cache=shared")
	if err != nil || table == nil {
		t.Fatal("no table", err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(string(table[1]) + `; INSERT INTO drafts (uid, text) VALUES ('draft-7', '')`); err != nil {
		t.Fatal(err)
	}
	if err := Save(t.Context(), db, "by nobody"); err == nil {
		t.Error("saved without a lock")
	}
	save := func(fence int64, text string) error {
		return Save(core.NewContext(context.Background(), &core.Lock{UID: "draft-7", Fence: fence}), db, text)
	}
	for _, c := range []struct {
		fence int64
		text  string
		want  error
	}{{5, "ann", nil}, {5, "ann again", nil}, {6, "ben", nil}, {5, "ann late", ErrStale}} {
		if err := save(c.fence, c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
	var text string
	if err := db.QueryRow(`SELECT text FROM drafts`).Scan(&text); err != nil || text != "ben" {
		t.Errorf("stored: %q, %v", text, err)
	}
}
