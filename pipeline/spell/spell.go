// Package spell finds the name that was probably meant by one that nobody knows, for messages.
package spell

import (
	"math"
	"strings"
	"unicode/utf8"
)

// Closest is the candidate that was most likely meant by word, or "" when none is near: case, and _ or - or a space between words, do not count, nor does
// what both have before a dot. The order of the candidates decides between equals, so it must not come from a map.
func Closest(word string, candidates []string) string {
	best, bestDistance := "", math.MaxInt
	for _, c := range candidates {
		if c == word {
			continue
		}
		x, y := differing(word, c)
		limit := min(bestDistance, 2+utf8.RuneCountInString(x)/4)
		if d := Distance(fold(x), fold(y), limit); d < limit && d < max(utf8.RuneCountInString(x), utf8.RuneCountInString(y)) { // they have a letter in common
			best, bestDistance = c, d
		}
	}
	return best
}

// differing cuts from two paths the parts before a dot that they share.
func differing(a, b string) (string, string) {
	for {
		x, restA, okA := strings.Cut(a, ".")
		y, restB, okB := strings.Cut(b, ".")
		if !okA || !okB || x != y {
			return a, b
		}
		a, b = restA, restB
	}
}

var separators = strings.NewReplacer("_", "", "-", "", " ", "")

func fold(s string) string { return separators.Replace(strings.ToLower(s)) }

// Distance is the number of edits (insert, delete, replace, swap neighbours) that make b of a, or limit when it is not less: the restricted
// Damerau-Levenshtein distance, also called optimal string alignment.
func Distance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if d := len(x) - len(y); d >= limit || -d >= limit {
		return limit
	}
	before, above, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return min(above[len(y)], limit)
}
