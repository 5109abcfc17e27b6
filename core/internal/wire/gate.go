package wire

import (
	"sync"
	"sync/atomic"
)

// gate counts what is under way, and lets nothing more in once it is shut.
type gate struct {
	count atomic.Int64  // and isShut
	once  sync.Once     // who is refused at the door leaves too, and may be the last one twice
	empty chan struct{} // closed when the gate is shut and all have left
}

const isShut = 1 << 62

// enter reports whether the gate is open; who enters must leave.
func (g *gate) enter() bool {
	if g.count.Add(1)&isShut == 0 {
		return true
	}
	g.leave()
	return false
}

// stay counts once more what is in: a part of it goes on when the call has left.
func (g *gate) stay() { g.count.Add(1) }

func (g *gate) leave() {
	if g.count.Add(-1) == isShut {
		g.once.Do(func() { close(g.empty) })
	}
}

func (g *gate) shut() {
	g.stay()
	g.count.Or(isShut)
	g.leave()
}
