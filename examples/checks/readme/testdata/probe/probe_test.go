package probe

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

func TestCheckRefusesWhatCannotWorkAndLogsWhatWeakens(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client(0)
	t.Cleanup(func() { _ = client.Close() })
	if err := Check(t.Context(), client, core.Options{}); err != nil || log.Len() > 0 {
		t.Errorf("%v, logged %q", err, &log)
	}
	server.SetTime(time.Now().Add(time.Hour))
	if err := Check(t.Context(), client, core.Options{}); err != nil || !strings.Contains(log.String(), "clock: ") {
		t.Errorf("%v, logged %q", err, &log)
	}
	server.Close()
	if err := Check(t.Context(), client, core.Options{}); !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}
