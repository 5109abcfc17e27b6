package openapi

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/editlock/editlock/examples/checks/openapi/client"
)

func TestClientIsGenerated(t *testing.T) {
	t.Parallel()
	fresh := filepath.Join(t.TempDir(), "client.gen.go")
	generate := exec.Command("go", "tool", "oapi-codegen", "-config", "client/config.yaml", "-o", fresh, file)
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", generate, err, out)
	}
	want, err := os.ReadFile(fresh)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("client/client.gen.go")
	if err != nil {
		t.Fatal(err)
	}
	read(t) // go test's cache must notice a change of the document
	if !bytes.Equal(got, want) {
		t.Error("client.gen.go is not what the document makes: go generate ./openapi")
	}
}

// caller returns the generated client for a user.
func caller(t *testing.T, url, user string) *client.ClientWithResponses {
	t.Helper()
	as := func(_ context.Context, r *http.Request) error {
		r.Header.Set("X-User-ID", user)
		return nil
	}
	c, err := client.NewClientWithResponses(url, client.WithRequestEditorFn(as))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// done returns what a call returned.
func done[T any](answer T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

func TestClientLocks(t *testing.T) {
	t.Parallel()
	for _, name := range examples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := start(t, name)
			const uid = "é:+"
			session := "tab-1"
			one, ben := caller(t, url, "1"), caller(t, url, "ben")
			lock := acquire(t, one, uid, session)
			refuse(t, ben, lock)
			released := done(one.ReleaseLockWithResponse(t.Context(), uid, &client.ReleaseLockParams{LockSession: &session}))(t)
			if released.StatusCode() != http.StatusNoContent {
				t.Fatalf("release: %s", released.Body)
			}
			seeFree(t, ben, lock)
			if taken := done(ben.AcquireLockWithResponse(t.Context(), uid, nil))(t); taken.JSON200 == nil {
				t.Errorf("another user, after the release: %s", taken.Body)
			}
		})
	}
}

// acquire is user 1's.
func acquire(t *testing.T, c *client.ClientWithResponses, uid, session string) *client.Lock {
	t.Helper()
	got := done(c.AcquireLockWithResponse(t.Context(), uid, &client.AcquireLockParams{LockSession: &session}))(t)
	lock := got.JSON200
	if lock == nil {
		t.Fatalf("acquire: %s", got.Body)
	}
	if id, err := lock.UserId.AsUserID0(); err != nil || id != 1 || lock.Uid != uid || lock.Renewed || lock.Sessions != 1 {
		t.Errorf("the lock is %s", got.Body)
	}
	return lock
}

func refuse(t *testing.T, c *client.ClientWithResponses, lock *client.Lock) {
	t.Helper()
	got := done(c.AcquireLockWithResponse(t.Context(), lock.Uid, nil))(t)
	if got.JSON423 == nil {
		t.Fatalf("another user: %s", got.Body)
	}
	if id, err := got.JSON423.UserId.AsHolderID0(); err != nil || id != 1 {
		t.Errorf("the holder is in %s", got.Body)
	}
	if header := got.Headers423; header.LockFence != lock.Fence || header.RetryAfter < 1 || header.LockExpiresIn < 1 {
		t.Errorf("the headers are %+v", header)
	}
}

func seeFree(t *testing.T, c *client.ClientWithResponses, lock *client.Lock) {
	t.Helper()
	got := done(c.GetLocksWithResponse(t.Context(), &client.GetLocksParams{Uid: []string{lock.Uid, "never"}}))(t)
	if got.JSON200 == nil || len(got.JSON200.Locks) != 2 {
		t.Fatalf("states: %s", got.Body)
	}
	free := got.JSON200.Locks[0]
	if free.Uid != lock.Uid || free.Locked == nil || *free.Locked || free.UserId != nil || free.Fence == nil || *free.Fence != lock.Fence {
		t.Errorf("after the release: %s", got.Body)
	}
}
