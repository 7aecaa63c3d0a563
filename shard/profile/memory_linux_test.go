package profile

import "testing"

// TestMappedGivesBack: what is free as a whole goes back to the system, but for one huge page.
func TestMappedGivesBack(t *testing.T) {
	m := NewMemory().(*mapped)
	var pages [][]byte
	for range 10 * pagesPerHuge {
		pages = append(pages, m.Get(PageSize))
	}
	if len(m.huge) != 10 {
		t.Fatalf("%d huge pages for 320 pages, want 10", len(m.huge))
	}
	for _, p := range pages {
		m.Put(p)
	}
	if len(m.huge) != 1 || m.empty != 1 {
		t.Fatalf("%d huge pages are left, %d of them empty, want 1", len(m.huge), m.empty)
	}
	defer func() {
		if recover() == nil {
			t.Error("a page that comes back twice does not panic")
		}
	}()
	m.Put(pages[0])
	m.Put(pages[len(pages)-1])
}
