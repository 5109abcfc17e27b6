package office

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/editlock/editlock/core"
)

const (
	// lockTTL is how long a hold lasts after its last renewal: the default of the adapters' Config.TTL.
	lockTTL = time.Minute
	// maxRows is how many locks a page shows.
	maxRows = 200
)

// ErrNotEdited means that an administrator ends an edit that is over.
var ErrNotEdited = &Error{Status: http.StatusConflict, Message: "Nobody is editing this any more, so there is nothing to end."}

// Row is a lock on the administrators' page.
type Row struct {
	core.Status
	Title   string // the uid, if it is no draft's
	Holder  string
	HeldFor string
	EndsIn  string // unless it is renewed
	Renewed string // how long ago that was at the latest
}

// Health is the answer to GET /healthz. Why the locker is not ready is an event, and so in the log.
func (a *App) Health(ctx context.Context) (status int, health map[string]string) {
	if a.Locker.Ready(ctx) != nil {
		return http.StatusServiceUnavailable, map[string]string{"status": "unavailable"}
	}
	return http.StatusOK, map[string]string{"status": "ok"}
}

// LocksPage is the page "locks.html" for an administrator: the locks whose draft or holder has search in its name, the
// longest held first. It says that the edit of the uid ended is over, if one is named.
func (a *App) LocksPage(ctx context.Context, account Account, search, ended string) (Page, error) {
	page := Page{Account: account, Search: search}
	titles, err := a.titles(ctx, account)
	if err != nil {
		return page, err
	}
	if ended != "" {
		page.Notice = fmt.Sprintf("You have ended the edit of %s.", cmp.Or(titles[ended], ended))
	}
	for status, err := range a.Locker.List(ctx) {
		if err != nil {
			return page, err
		}
		row := newRow(status, titles)
		if !row.has(search) {
			continue
		}
		if page.More = len(page.Locks) == maxRows; page.More {
			break
		}
		page.Locks = append(page.Locks, row)
	}
	slices.SortFunc(page.Locks, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Status.HeldFor, a.Status.HeldFor), cmp.Compare(a.UID, b.UID))
	})
	return page, nil
}

// BreakPage is the page "break.html", which asks an administrator to confirm the end of the edit that the page of the locks
// has shown. The errors are those of Break.
func (a *App) BreakPage(ctx context.Context, account Account, uid, fence string) (Page, error) {
	page := Page{Account: account}
	titles, err := a.titles(ctx, account)
	if err != nil {
		return page, err
	}
	status, err := a.Locker.Status(ctx, uid)
	switch {
	case errors.Is(err, core.ErrInvalid):
		return page, ErrBadRequest
	case err != nil:
		return page, err
	case !status.Locked:
		return page, ErrNotEdited
	case strconv.FormatInt(status.Fence, 10) != fence:
		return page, overtakenBy(status)
	}
	page.Locks = []Row{newRow(status, titles)}
	return page, nil
}

// Break ends an edit for an administrator, who has seen it under the fence, and returns the address of the page that says
// so. The errors are ErrNotEdited, one that says who is editing by now, ErrBadRequest, and the refusals 401 and 403.
func (a *App) Break(ctx context.Context, account Account, uid, fence string) (next string, err error) {
	if err := administers(account); err != nil {
		return "", err
	}
	n, err := strconv.ParseInt(fence, 10, 64)
	if err != nil {
		return "", ErrBadRequest
	}
	var conflict *core.TakeoverConflict
	switch err := a.Locker.Break(ctx, uid, n, core.User{ID: core.ID(account.ID), Name: account.Name}); {
	case errors.As(err, &conflict):
		return "", overtakenBy(conflict.Status)
	case errors.Is(err, core.ErrNotHeld):
		return "", ErrNotEdited
	case errors.Is(err, core.ErrInvalid):
		return "", ErrBadRequest
	case err != nil:
		return "", err
	}
	return "/admin/locks?" + url.Values{"ended": {uid}}.Encode(), nil
}

// administers is the policy: who may see and end the edits of others.
func administers(account Account) error {
	switch {
	case account.ID == 0:
		return Refusal(http.StatusUnauthorized)
	case !account.Admin:
		return Refusal(http.StatusForbidden)
	}
	return nil
}

// titles returns the titles of the drafts by their uids, for an administrator.
func (a *App) titles(ctx context.Context, account Account) (map[string]string, error) {
	if err := administers(account); err != nil {
		return nil, err
	}
	drafts, err := a.Drafts.List(ctx, account)
	titles := make(map[string]string, len(drafts))
	for _, draft := range drafts {
		titles[draft.UID] = draft.Title
	}
	return titles, err
}

func newRow(s core.Status, titles map[string]string) Row {
	return Row{
		Status: s, Title: cmp.Or(titles[s.UID], s.UID), Holder: cmp.Or(s.User.Name, s.User.ID.String()),
		HeldFor: span(s.HeldFor), EndsIn: span(s.ExpiresIn), Renewed: span(max(0, lockTTL-s.ExpiresIn)),
	}
}

func (r Row) has(search string) bool {
	return strings.Contains(strings.ToLower(r.Title+"\n"+r.UID+"\n"+r.Holder), strings.ToLower(strings.TrimSpace(search)))
}

func overtakenBy(s core.Status) *Error {
	return &Error{Status: http.StatusConflict,
		Message: fmt.Sprintf("%s is editing this by now, and the edit that you saw is over.", cmp.Or(s.User.Name, s.User.ID.String()))}
}

// span writes a time in two units.
func span(d time.Duration) string {
	switch s := int(d.Seconds()); {
	case s >= 3600:
		return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
	case s >= 60:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	default:
		return fmt.Sprintf("%d s", s)
	}
}
