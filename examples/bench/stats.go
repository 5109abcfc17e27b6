package main

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// The statistics of this benchmark, all of them. The rule of this file: what is reported is a median over
// rounds with its quartiles, and a ratio is taken within a round before its median is: both of its sides
// then had the same machine.

// summary is the median of some values and their quartiles.
type summary struct {
	Median, Low, High float64
}

// once is what was measured only once.
func once(value float64) summary { return summary{value, value, value} }

func (s summary) known() bool { return !math.IsNaN(s.Median) }

// summarize returns NaNs for no values.
func summarize(values []float64) summary {
	sorted := slices.Sorted(slices.Values(values))
	return summary{Median: quantile(sorted, 0.5), Low: quantile(sorted, 0.25), High: quantile(sorted, 0.75)}
}

// quantile interpolates between the two values around position q of the sorted ones.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// ratios divides what was measured in the same round; a round that lacks one of the two has none.
func ratios(of, by map[int]float64) []float64 {
	var paired []float64
	for round, value := range of {
		if base, ok := by[round]; ok && base > 0 {
			paired = append(paired, value/base)
		}
	}
	return paired
}

// histogram counts durations in buckets that are 1/32 of a power of two wide (3%), without allocating.
type histogram struct {
	counts [bucketCount]uint32
	total  uint64
}

const (
	subBuckets  = 32
	bucketCount = 40 * subBuckets // up to 2^44 ns, five hours
)

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.total++
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// quantile is the lower end of the bucket in which the quantile lies.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.total)))
	var seen uint64
	for i, n := range h.counts {
		if seen += uint64(n); n > 0 && seen >= rank {
			return time.Duration(bucketStart(i))
		}
	}
	return 0
}

func bucket(n uint64) int {
	if n < subBuckets {
		return int(n)
	}
	power := bits.Len64(n) - 6 // by which n is shifted into [32, 64)
	return min(subBuckets*(power+1)+int(n>>power)-subBuckets, bucketCount-1)
}

func bucketStart(i int) uint64 {
	if i < subBuckets {
		return uint64(i)
	}
	power := i/subBuckets - 1
	return uint64(i%subBuckets+subBuckets) << power
}
