package match

import "unicode/utf8"

// text is a value cut into characters, at most longest of them.
type text struct {
	r [longest]rune
	n int
}

func (t *text) set(s string) {
	t.n = 0
	for i := 0; i < len(s) && t.n < longest; t.n++ {
		if c := s[i]; c < utf8.RuneSelf {
			t.r[t.n] = rune(c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		t.r[t.n] = r
		i += size
	}
}

// jaroWinkler is the similarity of two strings from 0 to 1 (Winkler 1990): the share of characters that they have in
// common at nearly the same place, less half the transpositions, and a bonus for a common beginning of up to four. Two
// empty strings are alike.
func jaroWinkler(a, b *text) float64 {
	if a.n == 0 || b.n == 0 {
		if a.n == b.n {
			return 1
		}
		return 0
	}
	reach := max(max(a.n, b.n)/2-1, 0)
	var usedA, usedB uint64 // longest is 64
	common := 0
	for i := range a.n {
		for j := max(0, i-reach); j < min(b.n, i+reach+1); j++ {
			if usedB&(1<<j) == 0 && a.r[i] == b.r[j] {
				usedA, usedB = usedA|1<<i, usedB|1<<j
				common++
				break
			}
		}
	}
	if common == 0 {
		return 0
	}
	swapped, j := 0, 0
	for i := range a.n {
		if usedA&(1<<i) == 0 {
			continue
		}
		for usedB&(1<<j) == 0 {
			j++
		}
		if a.r[i] != b.r[j] {
			swapped++
		}
		j++
	}
	c := float64(common)
	jaro := (c/float64(a.n) + c/float64(b.n) + (c-float64(swapped/2))/c) / 3
	prefix := 0
	for prefix < min(a.n, b.n, 4) && a.r[prefix] == b.r[prefix] {
		prefix++
	}
	return jaro + float64(float64(prefix)*0.1*(1-jaro))
}

// edits is the number of insertions, deletions, replacements and swaps of neighbours from a to b (optimal string
// alignment), or limit+1 when it is more than limit.
func edits(a, b *text, limit int) int {
	if a.n-b.n > limit || b.n-a.n > limit {
		return limit + 1
	}
	var rows [3][longest + 1]uint8
	before, above, row := &rows[0], &rows[1], &rows[2]
	for j := range b.n + 1 {
		above[j] = uint8(j)
	}
	for i := 1; i <= a.n; i++ {
		row[0] = uint8(i)
		least := row[0]
		for j := 1; j <= b.n; j++ {
			d := above[j-1]
			if a.r[i-1] != b.r[j-1] {
				d = min(d, above[j], row[j-1]) + 1
				if i > 1 && j > 1 && a.r[i-1] == b.r[j-2] && a.r[i-2] == b.r[j-1] {
					d = min(d, before[j-2]+1)
				}
			}
			row[j] = d
			least = min(least, d)
		}
		if int(least) > limit+1 { // a swap may still save one
			return limit + 1
		}
		before, above, row = above, row, before
	}
	return min(int(above[b.n]), limit+1)
}

// soundsLike is the Soundex code of an ASCII word (Russell 1918, American rules), the same for Smith and Smyth. Words
// in other scripts are their own code.
func soundsLike(s string) string {
	const codes = "01230120022455012623010202" // a to z; 0: not coded
	var out [4]byte
	n, last := 0, byte(0)
	for i := 0; i < len(s) && n < len(out); i++ {
		c := s[i]
		if c >= utf8.RuneSelf {
			return s
		}
		if c < 'a' || c > 'z' {
			continue
		}
		code := codes[c-'a']
		switch {
		case n == 0:
			out[0], n = c, 1
		case code != '0' && code != last:
			out[n] = code
			n++
		}
		if c != 'h' && c != 'w' { // letters on both sides of them count as neighbours
			last = code
		}
	}
	if n == 0 {
		return s
	}
	for ; n < len(out); n++ {
		out[n] = '0'
	}
	return string(out[:])
}
