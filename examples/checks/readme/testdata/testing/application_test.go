package testing

import (
	"fmt"
	"net/http"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/nethttpmw"
)

func save(w http.ResponseWriter, r *http.Request) {
	held, ok := core.FromContext(r.Context())
	if !ok {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, held.Fence)
}

func newApplication(locker *core.Locker) http.Handler {
	lock, err := nethttpmw.New(locker, nethttpmw.Config{
		User: func(r *http.Request) core.User { return core.User{ID: core.ID(r.Header.Get("X-User"))} },
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	lock.Register(mux)
	return mux
}
