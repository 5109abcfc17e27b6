package model

import "slices"

// Times that nobody was told exactly. The rule of this file: a comparison is never guessed. Where the
// answer follows from what is known it is that answer; where it does not, the model is run once for each
// answer, and each run goes on knowing what it assumed (worlds). So a history is refused only if there
// are no times at all under which the contract allows it, and accepted only if there are some.
//
// What is known is a zone: bounds of the differences of unknowns, closed under addition, as timed
// automata have it. Nothing is lost in it: a reply's HeldFor ties two unknown times to the millisecond.

// instant is a millisecond of Redis's clock, or a fence: an unknown plus a number. The unknown 0 is zero,
// so instant{plus: n} is the number n.
type instant struct {
	of   int
	plus int64
}

func (i instant) add(n int64) instant { return instant{i.of, i.plus + n} }

// unbounded is above every difference of times or fences, and no sum of two of it overflows.
const unbounded = int64(1) << 61

// zone holds what is known of n unknowns: unknown i less unknown j is at most bound[i*n+j].
type zone struct {
	n     int
	bound []int64
}

func newZone() zone { return zone{1, []int64{0}} }

func (z *zone) at(i, j int) int64 { return z.bound[i*z.n+j] }

// unknown adds one of which nothing is known.
func (z *zone) unknown() instant {
	wider := zone{z.n + 1, make([]int64, (z.n+1)*(z.n+1))}
	for i := range wider.n {
		for j := range wider.n {
			switch {
			case i < z.n && j < z.n:
				wider.bound[i*wider.n+j] = z.at(i, j)
			case i != j:
				wider.bound[i*wider.n+j] = unbounded
			}
		}
	}
	*z = wider
	return instant{of: z.n - 1}
}

// tighten adds that unknown i less unknown j is at most n. It reports whether that is possible.
func (z *zone) tighten(i, j int, n int64) bool {
	switch {
	case n >= z.at(i, j):
		return true
	case z.at(j, i)+n < 0:
		return false
	}
	for p := range z.n {
		for q := range z.n {
			if via := z.at(p, i) + n + z.at(j, q); z.at(p, i) < unbounded && z.at(j, q) < unbounded && via < z.at(p, q) {
				z.bound[p*z.n+q] = via
			}
		}
	}
	return true
}

// keep forgets the unknowns that none of these instants needs, and turns those that are known by now
// into numbers. Numbering by the order of the instants makes equal knowledge look equal.
func (z *zone) keep(instants []*instant) {
	kept := []int{0}
	for _, i := range instants {
		if i.of == 0 {
			continue
		}
		if upper, lower := z.at(i.of, 0), z.at(0, i.of); upper < unbounded && upper == -lower {
			*i = instant{plus: i.plus + upper}
			continue
		}
		index := slices.Index(kept, i.of)
		if index < 0 {
			index = len(kept)
			kept = append(kept, i.of)
		}
		i.of = index
	}
	smaller := zone{len(kept), make([]int64, 0, len(kept)*len(kept))}
	for _, i := range kept {
		for _, j := range kept {
			smaller.bound = append(smaller.bound, z.at(i, j))
		}
	}
	*z = smaller
}

// world is one run of the model: a state, and what this run assumes.
type world struct {
	*State
	path       []bool // the answers to the questions that had two
	asked      int
	impossible bool
}

// worlds runs an operation on each world that the state may be, and returns the states that come out.
func worlds(from *State, run func(*world)) []*State {
	var states []*State
	for path := []bool(nil); ; {
		w := &world{State: from.clone(), path: path}
		run(w)
		if !w.impossible {
			w.zone.keep(w.instants())
			states = append(states, w.State)
		}
		// Next comes the answer "no" to the last question that was answered with "yes".
		path = w.path[:w.asked]
		for len(path) > 0 && !path[len(path)-1] {
			path = path[:len(path)-1]
		}
		if len(path) == 0 {
			return states
		}
		path = slices.Clone(path)
		path[len(path)-1] = false
	}
}

// either is a question that the contract leaves open.
func (w *world) either() bool {
	if w.impossible {
		return false
	}
	if w.asked == len(w.path) {
		w.path = append(w.path, true)
	}
	w.asked++
	return w.path[w.asked-1]
}

// atMost reports whether a less b is at most n.
func (w *world) atMost(a, b instant, n int64) bool {
	n += b.plus - a.plus
	switch {
	case w.zone.at(a.of, b.of) <= n:
		return true
	case w.zone.at(b.of, a.of) < -n:
		return false
	}
	yes := w.either()
	if yes {
		w.require(a, b, n+a.plus-b.plus)
	} else {
		w.require(b, a, -n-1+b.plus-a.plus)
	}
	return yes
}

func (w *world) same(a, b instant) bool   { return w.atMost(a, b, 0) && w.atMost(b, a, 0) }
func (w *world) before(a, b instant) bool { return w.atMost(a, b, -1) }
func (w *world) require(a, b instant, n int64) {
	n += b.plus - a.plus
	if !w.impossible && !w.zone.tighten(a.of, b.of, n) {
		w.impossible = true
	}
}

// requireExactly adds that a less b is n.
func (w *world) requireExactly(a, b instant, n int64) {
	w.require(a, b, n)
	w.require(b, a, -n)
}
