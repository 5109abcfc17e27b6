package office

import (
	"context"
	"database/sql"
	"errors"

	"golang.org/x/crypto/bcrypt"
)

// Account is who can log in. The zero Account is nobody.
type Account struct {
	ID    int64
	Name  string
	Admin bool
}

// Accounts are the accounts.
type Accounts struct {
	db     *sql.DB
	nobody []byte // the hash of no account's password
}

func newAccounts(db *sql.DB) (*Accounts, error) {
	nobody, err := bcrypt.GenerateFromPassword(nil, bcrypt.DefaultCost)
	return &Accounts{db, nobody}, err
}

// LogIn returns the account with this name and password, or ErrLogIn.
func (a *Accounts) LogIn(ctx context.Context, name, password string) (Account, error) {
	account, hash := Account{}, string(a.nobody) // an unknown name takes as long as a wrong password
	err := a.db.QueryRowContext(ctx, `SELECT id, name, admin, password_hash FROM accounts WHERE name = $1`, name).
		Scan(&account.ID, &account.Name, &account.Admin, &hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Account{}, err
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) != nil || account.ID == 0 {
		return Account{}, ErrLogIn
	}
	return account, nil
}

// Get returns an account. One that does not exist is the zero Account, nobody.
func (a *Accounts) Get(ctx context.Context, id int64) (Account, error) {
	account := Account{}
	if id == 0 {
		return account, nil
	}
	err := a.db.QueryRowContext(ctx, `SELECT id, name, admin FROM accounts WHERE id = $1`, id).
		Scan(&account.ID, &account.Name, &account.Admin)
	if errors.Is(err, sql.ErrNoRows) {
		return Account{}, nil
	}
	return account, err
}
