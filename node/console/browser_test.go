package console

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// browser starts a fresh Chromium, or skips the test, and returns it with what its pages have complained of.
func browser(t *testing.T) (ctx context.Context, complaints func() []string) {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			program = p
			break
		}
	}
	if program == "" {
		t.Skip("no Chromium on this machine: the page was not looked at")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() { chromedp.Cancel(ctx) }) // waits for the browser, whose files are about to be removed
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var said []string
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning {
				mu.Lock()
				said = append(said, m.URL+" "+m.Text)
				mu.Unlock()
			}
		}
	}()
	return ctx, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(said)
	}
}

// view is a screen to look with.
type view struct {
	name          string
	width, height int64
	mobile        bool
	scheme        string
}

func (v view) actions() chromedp.Action[chromedp.Void] {
	options := []chromedp.EmulateViewportOption{}
	if v.mobile {
		options = append(options, chromedp.EmulateMobile)
	}
	return chromedp.Steps(chromedp.EmulateViewport(v.width, v.height, options...), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.scheme}}
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return err
	}))
}

func TestPage(t *testing.T) {
	ctx, complaints := browser(t)
	node := &fakeNode{start: time.Now(), trouble: []string{}}
	server := httptest.NewServer(node.handler())
	defer func() { server.CloseClientConnections(); server.Close() }()

	until := func(what, expression string) {
		t.Helper()
		if ok, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(20*time.Second), chromedp.WithPollingInterval(50*time.Millisecond))); err != nil || !ok {
			t.Fatalf("%s: %v; the browser says %q", what, err, complaints())
		}
	}
	do := func(actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%v; the browser says %q", err, complaints())
		}
	}
	text := func(id, want string) {
		t.Helper()
		until(id+" has "+want, `document.getElementById("`+id+`").textContent.includes(`+"`"+want+"`"+`)`)
	}

	do(view{"", 1280, 800, false, "light"}.actions(), chromedp.Navigate(server.URL))
	text("state", "ready")
	text("cluster", "corner-shop")
	until("a start as usual is no news", `document.getElementById("recovery").hidden`)
	node.lost.Store(true)
	text("recovery", "recovered from power loss")
	until("a power loss is", `!document.getElementById("recovery").hidden`)
	shot(t, ctx, "recovered", chromedp.CaptureScreenshot())
	node.lost.Store(false)
	until("it is no news for ever", `document.getElementById("recovery").hidden`)
	until("it says how far behind each partition is", `[...document.querySelectorAll("#streams tr td:last-child")].slice(0, 3).map(e => e.textContent).join() === "–,1,200,2,400"`)
	until("and all of them", `/^[\d,]+ events behind, /.test(document.getElementById("streams-note").textContent)`)
	text("rejected-more", "malformed 12, no identifier 3")
	until("it is said since when, unlike beside it", `document.getElementById("rejected").previousElementSibling.textContent.includes("since start")`)
	until("the plot has points", `document.querySelector("#rate-plot .line")?.getAttribute("d").split("L").length > 200`)
	until("the plot moves", `(window.first ??= document.getElementById("rate-readout").textContent) !== document.getElementById("rate-readout").textContent`)
	until("the audiences are there, by size", `[...document.querySelectorAll("#audiences tbody .open")].map(e => e.textContent).join().startsWith("active_today,cart_abandoners,big_spenders")`)
	until("shares follow how many profiles there are", `(import("/console/audiences.js").then(m => { m.setProfiles(0); window.share = document.querySelector("#audiences .share .number").textContent; }), window.share === "")`)
	until("and come back", `document.querySelector("#audiences .share .number").textContent.endsWith(" %")`)
	until("sizes move", `Boolean(document.querySelector("#audiences .up")?.textContent.startsWith("+"))`)
	until("an activation arrives", `document.querySelectorAll("#tail tbody tr").length > 3`)
	until("an example is offered", `document.querySelector("#example a")?.href.includes("#user_id%3Au")`)

	do(chromedp.Click("#audiences tbody .open"))
	until("members are there", `document.querySelectorAll("#audiences .members a").length === 20`)
	until("its past is drawn", `document.querySelector("#audiences .spark path")?.getAttribute("d").split("L").length === 48`)
	text("audiences", "24 h +1,812 −720")
	text("audiences", "cart_abandoners 21,000, 25 %")
	text("audiences", "welcome_back 812")
	text("audiences", hostile)
	until("activations are there, with what they bring", `[...document.querySelectorAll("#sent td:last-child")].map(e => e.textContent + e.className).join() === "+3.9 pointsnumber up,−1.7 pointsnumber note,number note,number note"`)
	do(chromedp.Click("#sent tbody .open"))
	until("its hours are drawn", `document.querySelector("#sent .spark path")?.getAttribute("d").split("L").length === 30`)
	text("sent", "Goal: Order Completed or Store Purchase within 7d, 10 % held back")
	text("sent", "got it 1,362 of 9,712")
	text("sent", "held back 111 of 1,099")
	text("sent", "+3.9 points (+1.7 to +5.8, 95 %). More come to it who got it.")
	text("sent", "when somebody enters company_stuck, of accounts. A person calls.")
	text("sent", hostile)
	do(chromedp.SendKeys("#identifier", "user_id:u7\r"))
	text("profile-body", "ada@example.com")
	text("profile-body", hostile)
	until("hostile text stayed text", `!window.hacked && !document.querySelector("#profile img, #audiences img, #sent img")`)
	until("the links are drawn", `document.querySelectorAll("#profile-links circle.own").length === 3 && document.querySelectorAll("#profile-links circle.other").length === 2`)
	until("three joined, one refused", `document.querySelectorAll("#profile-links .link").length === 4 && document.querySelectorAll("#profile-links .refused").length === 1`)
	text("profile-links", "user_id is unique, and both profiles have one")
	text("profile-scores", "Why these scores")
	until("factors are drawn, the largest first", `[...document.querySelectorAll("#profile-scores .track i")].map(i => i.style.width + i.className).join() === "50%,25.974%,11.2554%less,0.04329%"`)
	text("profile-scores", hostile)
	until("hostile text stayed text there too", `!window.hacked && !document.querySelector("#profile-links img, #profile-scores img")`)
	until("the address links to the profile", `location.hash === "#user_id%3Au7"`)
	until("the profile follows", `(window.version ??= document.getElementById("profile-note").textContent) !== document.getElementById("profile-note").textContent`)
	do(chromedp.Click("#pause"))
	until("pausing pauses", `document.getElementById("tail-note").textContent.startsWith("paused, ") && document.getElementById("pause").getAttribute("aria-pressed") === "true"`)
	do(chromedp.Click("#pause"))
	do(chromedp.ScrollIntoView("#rate-plot"))
	box, err := chromedp.Run(ctx, chromedp.Evaluate[[]float64](`(r => [r.x + r.width / 2, r.y + r.height / 2])(document.getElementById("rate-plot").getBoundingClientRect())`))
	if err != nil {
		t.Fatal(err)
	}
	do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, box[0], box[1]))
	until("the plots share a cursor", `document.querySelectorAll(".plot .cursor").length === 2`)

	until("no table pushes away what is below it, however long it is", `[...document.querySelectorAll(".panel table")].every(t => t.closest(".tall"))`)
	for _, v := range []view{
		{"desktop-light", 1280, 800, false, "light"}, {"desktop-dark", 1280, 800, false, "dark"},
		{"phone-light", 390, 844, true, "light"}, {"phone-dark", 390, 844, true, "dark"},
	} {
		do(v.actions())
		until("nothing is wider than the screen of "+v.name, `document.documentElement.scrollWidth <= innerWidth`)
		until("the plot fits "+v.name, `document.querySelector("#rate-plot svg")?.getAttribute("viewBox").startsWith("0 0 " + document.getElementById("rate-plot").clientWidth + " ")`)
		shot(t, ctx, v.name, chromedp.CaptureScreenshot())
		shot(t, ctx, v.name+"-full", chromedp.FullScreenshot(100))
		shot(t, ctx, v.name+"-links", chromedp.Screenshot("#profile"))
		shot(t, ctx, v.name+"-sent", chromedp.Screenshot("#sent"))
	}
	if said := complaints(); len(said) > 0 {
		t.Errorf("the browser complains: %q", said)
	}
	until("the next identifier replaces the last", `document.getElementById("identifier").value = "", true`)
	do(chromedp.SendKeys("#identifier", "email:nobody\r"))
	text("profile-error", `there is no profile "email:nobody" (try another)`)
	server.CloseClientConnections()
	server.Listener.Close()
	text("state", "no answer")
	shot(t, ctx, "no-answer", chromedp.CaptureScreenshot())
	for _, s := range complaints() {
		if !strings.Contains(s, "Failed to load resource") && !strings.Contains(s, "Failed to fetch") && !strings.Contains(s, "TypeError") {
			t.Errorf("the browser complains: %q", s)
		}
	}
}

// shot keeps a picture of the page for people, and checks that there is something on it.
func shot(t *testing.T, ctx context.Context, name string, capture chromedp.Action[[]byte]) {
	t.Helper()
	b, err := chromedp.Run(ctx, capture)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.ArtifactDir(), name+".png")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	seen, most := map[color.Color]int{}, 0
	bounds := m.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y += 2 {
		for x := bounds.Min.X; x < bounds.Max.X; x += 2 {
			c := m.At(x, y)
			seen[c]++
			most = max(most, seen[c])
		}
	}
	if pixels := pixelsOf(bounds); len(seen) < 40 || most > pixels*95/100 {
		t.Errorf("%s: %d colours, %d of %d pixels have the same", file, len(seen), most, pixels)
	}
}

func pixelsOf(r image.Rectangle) int { return (r.Dx() + 1) / 2 * ((r.Dy() + 1) / 2) }
