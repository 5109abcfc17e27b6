package fibermw_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/conformance"
	"github.com/editlock/editlock/fibermw"
)

// With StreamRequestBody, what nobody has read of a body would be the connection's next request.
func TestRestOfAStreamedBodyIsNoRequest(t *testing.T) {
	t.Parallel()
	locker, ann := conformance.NewLocker(t), core.User{ID: core.ID(1)}
	lock, err := fibermw.New(locker, fibermw.Config{
		User:     func(*fiber.Ctx) core.User { return ann },
		TakeOver: func(*fiber.Ctx, core.User, core.Status) bool { return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New(fiber.Config{StreamRequestBody: true})
	lock.Register(app)
	app.Put("/drafts/:uid", lock.Guard("uid"), func(*fiber.Ctx) error { return errors.New("the handler ran") })
	address := listen(t, app)
	held := locker.Mutex("held", time.Minute, ann)
	if _, err := held.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}

	const prefetched = 8 << 10 // what fasthttp reads of a body before the handler runs
	body := strings.Repeat("x", prefetched) + "DELETE /api/lock/held/ HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, request := range []struct {
		line   string
		status int
	}{
		{"POST /api/lock/draft/", http.StatusOK},
		{"POST /api/lock/draft/takeover/", http.StatusRequestEntityTooLarge},
		{"PUT /drafts/another", http.StatusLocked},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", request.line, 1<<20, body)
		reader := bufio.NewReader(conn)
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("%s: %v", request.line, err)
		}
		if answer.StatusCode != request.status || !answer.Close {
			t.Errorf("%s: got %d, Connection: %q", request.line, answer.StatusCode, answer.Header.Get("Connection"))
			continue
		}
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
		if line, err := reader.ReadString('\n'); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: after the answer: %q, %v", request.line, line, err)
		}
	}
	if _, err := held.Check(t.Context()); err != nil {
		t.Errorf("the lock that nobody asked to release: %v", err)
	}
}
