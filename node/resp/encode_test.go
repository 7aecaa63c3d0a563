package resp

import (
	"fmt"
	"strings"
	"testing"
)

func TestCloseHead(t *testing.T) {
	for _, likely := range []int{0, 9, 10, 24, 99, 100, 12345} {
		for _, n := range []int{0, 1, 9, 10, 99, 100, 101, 5000, 1234567} {
			for _, body := range []string{"", "x", strings.Repeat("abc", 50)} {
				dst, at := openHead([]byte("before"), '*', likely)
				dst = closeHead(append(dst, body...), at, likely, n)
				if want := fmt.Sprintf("before*%d\r\n%s", n, body); string(dst) != want {
					t.Errorf("likely %d, count %d: %q, want %q", likely, n, dst, want)
				}
			}
		}
	}
}
