package process

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// profileSeconds is how long one profile lasts. The last of a node is lost, since the node ends meanwhile.
const profileSeconds = 3

// profile takes processor profiles of the node, one after the other into files of their own, until it ends.
func (d *Dashi) profile(dir string) {
	for i := 0; d.Exited() == nil; i++ {
		r, err := d.client.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", d.HTTP, profileSeconds))
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK {
			return
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("node-%d-%d.pprof", d.PID(), i)), body, 0o644); err != nil {
			return
		}
	}
}
