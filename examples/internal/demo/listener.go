package demo

import (
	"net"
	"sync"
)

// listener knows its open connections. Not every server can close those that outlast a shutdown, and
// one that is left open could be answered after the locker was closed.
type listener struct {
	net.Listener

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close() // nobody has seen it
		return nil, net.ErrClosed
	}
	tracked := &tracked{Conn: conn, listener: l}
	l.open[tracked] = struct{}{}
	return tracked, nil
}

// closeAll closes the listener and each connection that is still open.
func (l *listener) closeAll() {
	_ = l.Close() // the server has closed it, unless it never came to serving
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for conn := range l.open {
		_ = conn.(*tracked).Conn.Close() // its end is all that is wanted
	}
	clear(l.open)
}

type tracked struct {
	net.Conn
	listener *listener
}

func (c *tracked) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.open, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}
