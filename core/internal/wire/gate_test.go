package wire

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func newGate() *gate { return &gate{empty: make(chan struct{})} }

func (g *gate) isEmpty() bool {
	select {
	case <-g.empty:
		return true
	default:
		return false
	}
}

func TestShutGateIsEmptyWhenAllHaveLeft(t *testing.T) {
	t.Parallel()
	g := newGate()
	for range 2 {
		if !g.enter() {
			t.Fatal("the gate is shut at first")
		}
	}
	g.leave()
	g.stay() // a part of the call that is in
	g.leave()
	if g.isEmpty() {
		t.Error("empty before it is shut")
	}
	g.shut()
	if g.isEmpty() {
		t.Error("empty while a part of a call is in")
	}
	if g.enter() {
		t.Error("somebody entered after it was shut")
	}
	if g.isEmpty() {
		t.Error("a call that was refused made it empty")
	}
	g.leave()
	if !g.isEmpty() {
		t.Error("not empty when all have left")
	}
	g.shut()
	if g.enter() || !g.isEmpty() {
		t.Error("the second shut opened it")
	}
}

func TestOpenGateIsNotEmpty(t *testing.T) {
	t.Parallel()
	g := newGate()
	g.enter()
	g.leave()
	if g.isEmpty() {
		t.Error("an open gate says that it is empty")
	}
	g.shut()
	if !g.isEmpty() {
		t.Error("a shut gate that nobody is in is not empty")
	}
}

func TestNobodyIsInAnEmptyGate(t *testing.T) {
	t.Parallel()
	for round := range 100 {
		g := newGate()
		var inside atomic.Int32
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for n := 0; g.enter(); n++ {
					inside.Add(1)
					inside.Add(-1)
					g.leave()
					runtime.Gosched()
					if i == 0 && n == round%10 {
						g.shut()
					}
				}
			})
		}
		<-g.empty
		if n := inside.Load(); n != 0 {
			t.Errorf("%d are in", n)
		}
		all.Wait()
	}
}
