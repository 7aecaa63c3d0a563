package main

import "testing"

// An identifier is whatever somebody sent: it must not drive the terminal.
func TestPlain(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %s, want %s", in, got, want)
		}
	}
	f("user_id:ada@example.com", "user_id:ada@example.com")
	f("user_id:éè 東京", "user_id:éè 東京")
	f("user_id:\x1b[2J", `"user_id:\x1b[2J"`)
	f("a\nb", `"a\nb"`)
}
