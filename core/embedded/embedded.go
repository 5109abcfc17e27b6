// Package embedded is a Redis inside the process, for demos and quick tests: nothing to install, and
// everything is gone when the process ends.
//
// It is miniredis with keys that expire in real time. It has the commands that the engine uses and is
// not made for load or for more than one process (a script takes 5 to 18 times as long as on Redis), so
// applications in production set REDIS_URL instead.
package embedded

import (
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Server is a running embedded Redis. Close ends it.
type Server struct {
	mini *miniredis.Miniredis
}

// Start starts a server on a free port of 127.0.0.1.
func Start() (*Server, error) {
	mini := miniredis.NewMiniRedis()
	mini.ClockTTL(true)
	if err := mini.Start(); err != nil {
		return nil, fmt.Errorf("editlock/embedded: %w", err)
	}
	return &Server{mini: mini}, nil
}

// Addr is the server's host:port.
func (s *Server) Addr() string { return s.mini.Addr() }

// Client returns a new client of the server's database db, which is the caller's to close.
func (s *Server) Client(db int) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Addr(), DB: db, ContextTimeoutEnabled: true})
}

// SetTime sets the server's clock, which then stands still until it is set again: for tests in which
// time is to pass without waiting.
func (s *Server) SetTime(now time.Time) { s.mini.SetTime(now) }

// Close ends the server and its connections.
func (s *Server) Close() { s.mini.Close() }
