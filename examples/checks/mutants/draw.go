package main

import "math/rand/v2"

// draw puts the mutants into the order in which they are tried: a line of code at random, and of what can
// be wrong with it one thing at random. A line comes up again when all lines have had their turn. So a
// line full of operators weighs no more than any other.
func draw(mutants []mutant, seed uint64) []mutant {
	random := rand.New(rand.NewPCG(seed, 0))
	lines := byLine(mutants)
	random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	for _, line := range lines {
		random.Shuffle(len(line), func(i, j int) { line[i], line[j] = line[j], line[i] })
	}
	var order []mutant
	for turn := 0; len(order) < len(mutants); turn++ {
		for _, line := range lines {
			if turn < len(line) {
				order = append(order, line[turn])
			}
		}
	}
	return order
}

// byLine groups the mutants, in the order in which their lines first appear.
func byLine(mutants []mutant) [][]mutant {
	type place struct {
		file string
		line int
	}
	var lines [][]mutant
	index := make(map[place]int)
	for _, m := range mutants {
		at := place{m.file, m.line}
		i, known := index[at]
		if !known {
			i = len(lines)
			index[at] = i
			lines = append(lines, nil)
		}
		lines[i] = append(lines[i], m)
	}
	return lines
}
