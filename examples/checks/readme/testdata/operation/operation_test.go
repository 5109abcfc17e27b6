package operation

import (
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

func TestStartCountsEventsAndStopEndsWaits(t *testing.T) {
	redis, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	t.Setenv("REDIS_URL", "redis://"+redis.Addr())
	ctx, counted := t.Context(), map[string]int{}
	locker, err := Start(ctx, func(kind string) { counted[kind]++ })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locker.Mutex("draft", time.Minute, core.User{ID: core.ID(1)}).Acquire(ctx); err != nil || counted["acquired"] != 1 {
		t.Errorf("%v, events %v", err, counted)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, looked, ended := new(http.Server), make(chan struct{}, 1), make(chan struct{})
	go func() { _ = server.Serve(listener) }()
	go func() {
		defer close(ended)
		for range locker.Watch(ctx, "draft") {
			looked <- struct{}{}
		}
	}()
	<-looked
	if err := Stop(ctx, server, locker); err != nil {
		t.Error(err)
	}
	<-ended
}
