package office

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"golang.org/x/crypto/bcrypt"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// schema is the same for SQLite and PostgreSQL. The fence must not be NULL: "fence <= $2" would then be true of no row.
var schema = []string{
	`CREATE TABLE IF NOT EXISTS accounts (
		id            BIGINT PRIMARY KEY,
		name          TEXT NOT NULL UNIQUE,
		password_hash TEXT NOT NULL,
		admin         BOOLEAN NOT NULL DEFAULT FALSE
	)`,
	`CREATE TABLE IF NOT EXISTS drafts (
		uid       TEXT PRIMARY KEY,
		title     TEXT NOT NULL,
		body      TEXT NOT NULL,
		fence     BIGINT NOT NULL DEFAULT 0, -- of the hold under which it was last changed
		revision  BIGINT NOT NULL DEFAULT 1, -- counted up by each save
		published BIGINT NOT NULL DEFAULT 0  -- the revision that is published
	)`,
	`CREATE TABLE IF NOT EXISTS editors (
		draft_uid  TEXT NOT NULL REFERENCES drafts (uid),
		account_id BIGINT NOT NULL REFERENCES accounts (id),
		PRIMARY KEY (draft_uid, account_id)
	)`,
}

// What a database has at its start. An admin may edit everything.
var (
	seedAccounts = []Account{{ID: 1, Name: "ann"}, {ID: 2, Name: "ben"}, {ID: 3, Name: "mia", Admin: true}}
	seedDrafts   = []struct {
		uid, title, body string
		editors          []int64
	}{
		{"menu", "Spring menu", "Asparagus, and then?", []int64{1, 2}},
		{"prices", "Price list", "To be agreed.", []int64{1}},
		{"opening", "Opening hours", "Daily, but not on Mondays.", []int64{2}},
	}
)

func seededNames() string {
	var names []string
	for _, account := range seedAccounts {
		name := account.Name
		if account.Admin {
			name += " (admin)"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

type database struct {
	*sql.DB
	name  string // for people
	close func() error
}

// openDatabase opens PostgreSQL ("postgres://...") or a file of SQLite ("file:..."), and creates the tables. Without
// a URL it is a SQLite file that is removed by close.
func openDatabase(ctx context.Context, url string) (*database, error) {
	db := &database{}
	remove := func() error { return nil }
	var err error
	switch {
	case url == "":
		var dir string
		if dir, err = os.MkdirTemp("", "editlock-apps"); err != nil {
			return nil, err
		}
		remove = func() error { return os.RemoveAll(dir) }
		db.name = "SQLite, gone at the end"
		db.DB, err = openSQLite("file:" + filepath.Join(dir, "office.db"))
	case strings.HasPrefix(url, "file:"):
		db.name = "SQLite"
		db.DB, err = openSQLite(url)
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		db.name = "PostgreSQL"
		db.DB, err = sql.Open("pgx", url)
	default:
		err = errors.New("DATABASE_URL must begin with postgres:// or file: or be unset")
	}
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	db.close = func() error { return errors.Join(db.Close(), remove()) }
	for _, statement := range schema {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(fmt.Errorf("DATABASE_URL: %w", err), db.close())
		}
	}
	return db, nil
}

// openSQLite opens a file for many connections: a transaction waits for its turn when it begins.
func openSQLite(url string) (*sql.DB, error) {
	return sql.Open("sqlite", url+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)")
}

// seed adds the accounts and drafts that are missing. The seeded accounts get a new password, which it returns.
func (db *database) seed(ctx context.Context) (password string, err error) {
	password = strings.ToLower(rand.Text()[:12])
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = tx.Rollback() }() // of no effect after Commit
	for _, account := range seedAccounts {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
		if err != nil {
			return "", err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO accounts (id, name, password_hash, admin) VALUES ($1, $2, $3, $4)
			ON CONFLICT (id) DO UPDATE SET password_hash = excluded.password_hash`, account.ID, account.Name, string(hash), account.Admin)
		if err != nil {
			return "", err
		}
	}
	for _, draft := range seedDrafts {
		_, err := tx.ExecContext(ctx, `INSERT INTO drafts (uid, title, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			draft.uid, draft.title, draft.body)
		if err != nil {
			return "", err
		}
		for _, id := range draft.editors {
			_, err := tx.ExecContext(ctx, `INSERT INTO editors (draft_uid, account_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, draft.uid, id)
			if err != nil {
				return "", err
			}
		}
	}
	return password, tx.Commit()
}
