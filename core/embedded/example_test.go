package embedded_test

import (
	"context"
	"fmt"
	"time"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/embedded"
)

// A test of an application in which a lock expires, without waiting for it.
func Example() {
	redis, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer redis.Close()
	now := time.Now()
	redis.SetTime(now)
	locker, err := core.New(redis.Client(0), core.Options{})
	if err != nil {
		panic(err)
	}
	defer locker.Close()
	ctx := context.Background()
	ann := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(1)})
	ben := locker.Mutex("draft-7", time.Minute, core.User{ID: core.ID(2)})

	_, err = ann.Acquire(ctx)
	fmt.Println("Ann:", err)
	_, err = ben.Acquire(ctx)
	fmt.Println("Ben:", err)
	redis.SetTime(now.Add(2 * time.Minute))
	_, err = ben.Acquire(ctx)
	fmt.Println("Ben, two minutes later:", err)
	// Output:
	// Ann: <nil>
	// Ben: editlock: resource "draft-7" is locked by user 1
	// Ben, two minutes later: <nil>
}
