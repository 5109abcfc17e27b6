package office

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/editlock/editlock/core"
)

// Draft is a row of the table.
type Draft struct {
	UID       string `json:"uid"`
	Title     string `json:"title"`
	Body      string `json:"body"`
	Fence     int64  `json:"fence"`
	Revision  int64  `json:"revision"`
	Published int64  `json:"published"`
}

// ETag names the revision of the draft. A save sends it back as If-Match.
func (d Draft) ETag() string { return `"` + strconv.FormatInt(d.Revision, 10) + `"` }

// Revision reads what a save sends to name the revision that it changes: an ETag in If-Match, or the number from a
// form. 0 is any revision, and the text is then empty.
func Revision(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	text = strings.TrimPrefix(strings.TrimSuffix(text, `"`), `"`)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, ErrBadRequest
	}
	return n, nil
}

const columns = `uid, title, body, fence, revision, published`

// Drafts are the drafts.
type Drafts struct{ db *sql.DB }

// Get returns a draft that the account may edit. The errors are those of Authorize, and ErrNotFound.
func (d *Drafts) Get(ctx context.Context, account Account, uid string) (Draft, error) {
	if err := d.Authorize(ctx, account, uid); err != nil {
		return Draft{}, err
	}
	return scan(d.db.QueryRowContext(ctx, `SELECT `+columns+` FROM drafts WHERE uid = $1`, uid))
}

// List returns the drafts that the account may edit.
func (d *Drafts) List(ctx context.Context, account Account) ([]Draft, error) {
	rows, err := d.db.QueryContext(ctx, `SELECT `+columns+` FROM drafts
		WHERE $1 OR uid IN (SELECT draft_uid FROM editors WHERE account_id = $2) ORDER BY title`, account.Admin, account.ID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is that of Err
	var drafts []Draft
	for rows.Next() {
		draft, err := scan(rows)
		if err != nil {
			return nil, err
		}
		drafts = append(drafts, draft)
	}
	return drafts, rows.Err()
}

// Save changes the text under the lock with which the guard let the request pass. With a revision other than 0, the
// draft must still have it. The errors are ErrOvertaken, ErrRevision and ErrNotFound.
func (d *Drafts) Save(ctx context.Context, held *core.Lock, body string, revision int64) (Draft, error) {
	query := `UPDATE drafts SET body = $1, fence = $2, revision = revision + 1 WHERE uid = $3 AND fence <= $2`
	args := []any{body, held.Fence, held.UID}
	if revision != 0 {
		query, args = query+` AND revision = $4`, append(args, revision)
	}
	return d.change(ctx, held, query, args...)
}

// Publish publishes the text as it was saved last. The errors are ErrOvertaken and ErrNotFound.
func (d *Drafts) Publish(ctx context.Context, held *core.Lock) (Draft, error) {
	return d.change(ctx, held, `UPDATE drafts SET published = revision, fence = $1 WHERE uid = $2 AND fence <= $1`,
		held.Fence, held.UID)
}

// Authorize returns ErrForbidden unless the account may edit all the drafts. That the database did not answer is
// core.ErrUnavailable, so that editlock answers 503 and not 403.
func (d *Drafts) Authorize(ctx context.Context, account Account, uids ...string) error {
	if account.ID == 0 {
		return Refusal(http.StatusUnauthorized)
	}
	if account.Admin {
		return nil
	}
	var places []string
	args := []any{account.ID}
	for i, uid := range uids {
		places = append(places, fmt.Sprintf("$%d", i+2))
		args = append(args, uid)
	}
	rows, err := d.db.QueryContext(ctx,
		`SELECT draft_uid FROM editors WHERE account_id = $1 AND draft_uid IN (`+strings.Join(places, ", ")+`)`, //nolint:gosec // only placeholders are put together
		args...)
	if err != nil {
		return fmt.Errorf("%w: %w", core.ErrUnavailable, err)
	}
	defer func() { _ = rows.Close() }() // its error is that of Err
	may := map[string]bool{}
	for rows.Next() {
		var uid string
		if err := rows.Scan(&uid); err != nil {
			return fmt.Errorf("%w: %w", core.ErrUnavailable, err)
		}
		may[uid] = true
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%w: %w", core.ErrUnavailable, err)
	}
	for _, uid := range uids {
		if !may[uid] {
			return ErrForbidden
		}
	}
	return nil
}

// change runs an UPDATE and reads the row in one transaction. If the UPDATE changed no row, the row says why.
func (d *Drafts) change(ctx context.Context, held *core.Lock, query string, args ...any) (Draft, error) {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return Draft{}, err
	}
	defer func() { _ = tx.Rollback() }() // of no effect after Commit
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return Draft{}, err
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return Draft{}, err
	}
	draft, err := scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM drafts WHERE uid = $1`, held.UID))
	switch {
	case err != nil:
		return Draft{}, err
	case changed == 1:
		return draft, tx.Commit()
	case draft.Fence > held.Fence:
		return Draft{}, ErrOvertaken
	default:
		return Draft{}, ErrRevision
	}
}

func scan(row interface{ Scan(...any) error }) (Draft, error) {
	var d Draft
	err := row.Scan(&d.UID, &d.Title, &d.Body, &d.Fence, &d.Revision, &d.Published)
	if errors.Is(err, sql.ErrNoRows) {
		return d, ErrNotFound
	}
	return d, err
}
