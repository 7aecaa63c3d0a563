package shard

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/event/track"
	"dashi/pipeline/identity"
)

const linkedRecipe = `
recipe: linked
purposes: {email: properties.mail}
fields: {properties.mail: bool}
attributes:
  events: {kind: count, on: "*"}
  spent: {kind: sum, on: buy, value: properties.total}
  items: {kind: set, add: {on: buy, value: properties.product_id}}
  seen: {kind: tally, on: "*", value: properties.product_id}
  last_item: {kind: last, on: buy, value: properties.product_id}
  viewed: {kind: list, on: look, value: properties.product_id}
audiences:
  busy: events >= 3
  buyers: spent > 5
  newcomers: events < 4
  reachable: {when: consent.email, emit: both}
activations:
  later: {on: {enter: busy}, delay: 1h}
`

// town is one shard that is told of events by short lines.
type town struct {
	t testing.TB
	s *Shard
	d *event.Decoder
	n int64
}

func newTown(t testing.TB, recipe string) *town {
	sources := readInline("linked.yml", recipe)
	s := newShard(t, testSettings(), sources)
	return &town{t: t, s: s, d: event.NewDecoder(s.Program().Schema, event.DefaultLimits)}
}

// event applies "minute event item total ids..", with ids as user_id:u1.
func (w *town) event(line string) {
	w.t.Helper()
	f := strings.Fields(line)
	var minute int
	var total float64
	fmt.Sscan(f[0], &minute)
	fmt.Sscan(f[3], &total)
	properties := map[string]any{"product_id": f[2], "total": total}
	if f[1] == "agree" {
		properties["mail"] = true
	}
	at := fallback + int64(minute)*60_000
	text := track.Message(fmt.Sprint("m", w.n), f[1], time.UnixMilli(at), properties, f[4:]...)
	var e event.Event
	if err := w.d.Decode(text, fallback, &e); err != nil {
		w.t.Fatal(err)
	}
	var b Batch
	b.Begin(w.s.program.Hash, Stream{Partition: 1}, w.n-1)
	b.Add(w.n, &e)
	mustAccept(w.t, w.s.Apply(b.Seal(w.n, at)))
	w.n++
	if err := w.s.Check(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) profile(id string) string {
	w.t.Helper()
	var v View
	ns, value, _ := strings.Cut(id, ":")
	if !w.s.Lookup([]byte(ns), []byte(value), identity.Hash(ns, []byte(value)), &v) {
		return "none"
	}
	return string(v.AppendJSON(nil))
}

func (w *town) unlink(a, b string) {
	w.t.Helper()
	nsA, valueA, _ := strings.Cut(a, ":")
	nsB, valueB, _ := strings.Cut(b, ":")
	mustAccept(w.t, w.s.Apply(AppendUnlink(nil, w.s.now, nsA, []byte(valueA), nsB, []byte(valueB))))
	if err := w.s.Check(); err != nil {
		w.t.Fatal(err)
	}
}

// left is what has left since the last call: "transition subject profile".
func (w *town) left() string {
	var all []string
	var next uint64
	w.s.Outbox(0, func(position uint64, _, payload []byte) bool {
		var a struct {
			Profile, Activation, Transition string
			Merged                          []string
			UnmergedFrom                    []string `json:"unmerged_from"`
		}
		if err := json.Unmarshal(payload, &a); err != nil {
			w.t.Fatal(err)
		}
		text := a.Transition + " " + a.Activation + " " + a.Profile
		if a.Merged != nil || a.UnmergedFrom != nil {
			text = fmt.Sprint(a.Transition, " ", a.Profile, " ", a.Merged, a.UnmergedFrom)
		}
		all = append(all, text)
		next = position + 1
		return true
	})
	w.s.Apply(AppendAck(nil, 0, next))
	return strings.Join(all, ", ")
}

func (w *town) want(got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A merge is one activation with both ids. Nobody leaves an audience and enters it again; who was in both was in since the earlier.
func TestMergeKeepsAudiencesSteady(t *testing.T) {
	w := newTown(t, linkedRecipe)
	for _, line := range []string{"0 look a 0 anonymous_id:d", "1 look b 0 anonymous_id:d", "2 buy c 9 anonymous_id:d", "3 look a 0 user_id:u", "4 look a 0 user_id:u", "5 buy d 7 user_id:u", "6 agree d 0 user_id:u"} {
		w.event(line)
	}
	w.want(w.left(), "enter newcomers anonymous_id:d, enter busy anonymous_id:d, enter buyers anonymous_id:d, "+
		"enter newcomers user_id:u, enter busy user_id:u, enter buyers user_id:u, exit newcomers user_id:u, enter reachable user_id:u")
	w.event("7 look e 0 user_id:u anonymous_id:d")
	w.want(w.left(), "merged user_id:u [anonymous_id:d] [], exit newcomers user_id:u")
	got := w.profile("anonymous_id:d")
	w.want(got, w.profile("user_id:u"))
	for _, part := range []string{
		`"events":8`, `"spent":16`, `"items":["c","d"]`, `"last_item":"d"`, `"version":8`,
		`"busy":{"since":"` + string(appendMinute(2)), `"buyers":{"since":"` + string(appendMinute(2)), `"reachable":{"since":"` + string(appendMinute(6)),
		`"namespace":"user_id","value":"u","first_seen":"` + string(appendMinute(3)), `"namespace":"anonymous_id","value":"d","first_seen":"` + string(appendMinute(0)),
	} {
		if !strings.Contains(got, part) {
			t.Errorf("%s is not in %s", part, got)
		}
	}
	if n := w.s.Stats().Profiles; n != 1 {
		t.Errorf("%d profiles", n)
	}
	// What both waited for leaves once; the delays of one activation run as one.
	w.s.Apply(AppendTick(nil, fallback+200*60_000))
	w.want(w.left(), "enter later user_id:u")
}

func appendMinute(m int) []byte {
	return []byte(time.UnixMilli(fallback + int64(m)*60_000).UTC().Format(time.RFC3339))
}

// An unmerge gives back what was, to the byte: also entry times, and it is remembered.
func TestUnmergeGivesBack(t *testing.T) {
	w, apart := newTown(t, linkedRecipe), newTown(t, linkedRecipe)
	lines := []string{"0 look a 0 anonymous_id:d", "1 buy b 6 anonymous_id:d", "2 buy c 9 anonymous_id:d", "3 look a 0 user_id:u", "4 buy x 8 user_id:u", "5 agree d 0 user_id:u", "6 look a 0 user_id:u email:u@x.example"}
	for _, line := range lines {
		w.event(line)
		apart.event(line)
	}
	w.left()
	d, u := w.profile("anonymous_id:d"), w.profile("user_id:u")
	w.event("7 look e 0 user_id:u anonymous_id:d")
	apart.event("7 look e 0 user_id:u")
	w.left()
	merged := w.profile("user_id:u")
	w.unlink("anonymous_id:d", "user_id:u")
	w.want(w.left(), "unmerged anonymous_id:d [] [user_id:u], enter busy anonymous_id:d, enter buyers anonymous_id:d, enter newcomers anonymous_id:d")
	seen := func(s string) string { // the event that linked them was one more at which d was seen
		return strings.Replace(s, `"last_seen":"`+string(appendMinute(2)), `"last_seen":"`+string(appendMinute(7)), 1)
	}
	bare := func(s string) string { return strings.Replace(s, `,"refused_links":{"cut":1}`, "", 1) }
	w.want(bare(w.profile("anonymous_id:d")), seen(d))
	w.want(bare(w.profile("user_id:u")), apart.profile("user_id:u"))
	if u == merged {
		t.Fatal("nothing merged")
	}
	// Late and new events do not bring them together, nor does a restart.
	w.s = restoreCopy(t, w.s)
	before := w.profile("anonymous_id:d")
	w.event("1 look z 0 user_id:u anonymous_id:d")
	w.event("9 look z 0 user_id:u anonymous_id:d")
	if got := w.profile("user_id:u"); strings.Contains(got, `"value":"d"`) {
		t.Errorf("together again: %s", got)
	}
	w.want(strings.Replace(w.profile("anonymous_id:d"), string(appendMinute(9)), string(appendMinute(7)), 1), before)
	if strings.Contains(w.left(), "merged") {
		t.Error("a merge")
	}
}

// A kiosk and the mailbox of a call centre are nobody's: nobody is pulled together, and it shows.
func TestJunkIdentifierPullsNobodyTogether(t *testing.T) {
	w := newTown(t, linkedRecipe)
	const people = 3 * identity.MaxPartners
	for i := range people {
		w.event(fmt.Sprintf("%d look a 0 user_id:u%d anonymous_id:kiosk", i, i))
	}
	var v View
	kiosk := func() bool {
		return w.s.Lookup([]byte("anonymous_id"), []byte("kiosk"), identity.Hash("anonymous_id", []byte("kiosk")), &v)
	}
	if kiosk() || !v.Junk {
		t.Error("without an event of its own it has no profile, because it is junk")
	}
	w.event(fmt.Sprintf("%d look a 0 anonymous_id:kiosk", people))
	if !kiosk() || v.Junk {
		t.Error("with an event of its own it has a profile")
	}
	if n := w.s.Stats().Profiles; n != people+1 {
		t.Errorf("%d profiles, want %d", n, people+1)
	}
	if got := w.profile("user_id:u7"); strings.Contains(got, "kiosk") {
		t.Error(got)
	}
	if got := w.profile("anonymous_id:kiosk"); !strings.Contains(got, `"saturated":true`) || !strings.Contains(got, `"events":1`) {
		t.Error(got)
	}
	st := w.s.Stats()
	if st.Junk != 1 || st.Saturated == 0 {
		t.Errorf("%+v", st.Counters)
	}
}

// The caps on one profile are counted in it. Beyond MaxComponent arrival decides which links are passed over: this is what it is.
func TestCaps(t *testing.T) {
	w := newTown(t, strings.Replace(linkedRecipe, "purposes:", "identity: {max_identifiers: 3, namespaces: [{name: user_id, from: userId}, {name: anonymous_id, from: anonymousId}]}\npurposes:", 1))
	for i := range MaxComponent + 10 {
		w.event(fmt.Sprintf("%d look a 0 user_id:u anonymous_id:d%d", i/10, i))
	}
	got := w.profile("user_id:u")
	if want := fmt.Sprintf(`"refused_links":{"max_identifiers":%d}`, MaxComponent-3); !strings.Contains(got, want) || strings.Count(got, `"namespace"`) != 3 {
		t.Errorf("%s is not in %s", want, got)
	}
	if st := w.s.Stats(); st.ComponentFull != 11 {
		t.Errorf("%d links passed over", st.ComponentFull)
	}
	if got := w.profile(fmt.Sprint("anonymous_id:d", MaxComponent+5)); got != "none" {
		t.Error(got)
	}
}

// With excess: oldest a third telephone takes the place of the one that was not seen for longest, which comes away with what it did on its own; when
// that is used again it comes back, and the next one goes.
func TestOldestGoes(t *testing.T) {
	w := newTown(t, strings.Replace(linkedRecipe, "purposes:", `identity: {namespaces: [{name: user_id, from: userId, unique: true}, {name: phone, from: traits.phone, normalise: exact, limit: {count: 2, excess: oldest}}]}
purposes:`, 1))
	for i, line := range []string{"0 buy a 3 phone:p1", "1 look a 0 user_id:u phone:p1", "2 look a 0 user_id:u phone:p2", "3 look a 0 user_id:u phone:p3"} {
		w.event(line)
		if i == 2 {
			w.left()
		}
	}
	w.want(w.left(), "exit newcomers user_id:u, enter newcomers user_id:u, unmerged phone:p1 [] [user_id:u], enter newcomers phone:p1")
	who := func(id string) string {
		var v View
		ns, value, _ := strings.Cut(id, ":")
		w.s.Lookup([]byte(ns), []byte(value), identity.Hash(ns, []byte(value)), &v)
		var ids []string
		for _, i := range v.Identifiers {
			ids = append(ids, i.Namespace+":"+string(i.Value))
		}
		return fmt.Sprint(v.Version, " ", strings.Join(ids, " "), " ", v.Refused[identity.OverLimit])
	}
	sorted := func(text, a, b string) string { return strings.Replace(text, b+" "+a, a+" "+b, 1) }
	w.want(sorted(who("user_id:u"), "phone:p2", "phone:p3"), "3 user_id:u phone:p2 phone:p3 1")
	w.want(who("phone:p1"), "1 phone:p1 1")
	var v View
	w.s.Lookup([]byte("phone"), []byte("p1"), identity.Hash("phone", []byte("p1")), &v)
	if text := string(v.AppendExplanation(nil)); !strings.Contains(text, "a profile has at most 2 values of phone; the one that was not seen for longest goes") {
		t.Error(text)
	}
	w.event("4 look a 0 user_id:u phone:p1")
	w.want(sorted(who("phone:p1"), "phone:p1", "phone:p3"), "5 user_id:u phone:p1 phone:p3 1")
	w.want(who("phone:p2"), "0  0") // it has no event of its own, so it is nobody
}

// Another cookbook keeps links and fragments; other rules partition anew; another order of namespaces is refused.
func TestCookbookSwitchKeepsPeople(t *testing.T) {
	w := newTown(t, linkedRecipe)
	for _, line := range []string{"0 look a 0 anonymous_id:d", "1 buy b 6 anonymous_id:d", "2 buy c 9 user_id:u anonymous_id:d", "3 buy c 1 user_id:v anonymous_id:e", "4 look c 1 user_id:v email:m@x.example", "5 look c 1 user_id:u email:m@x.example"} {
		w.event(line)
	}
	before := describe(w.s)
	more := append(readInline("linked.yml", linkedRecipe), readInline("more.yml", "recipe: more\nattributes:\n  looks: {kind: count, on: look}\n")...)
	mustAccept(t, w.s.Apply(AppendCookbook(nil, 2, more)))
	mustAccept(t, w.s.Apply(AppendCookbook(nil, 3, readInline("linked.yml", linkedRecipe))))
	w.want(describe(w.s), before)
	loose := strings.Replace(linkedRecipe, "purposes:", `identity: {namespaces: [{name: user_id, from: userId}, {name: email, from: traits.email}, {name: phone, from: traits.phone}, {name: anonymous_id, from: anonymousId}]}
purposes:`, 1)
	mustAccept(t, w.s.Apply(AppendCookbook(nil, 4, readInline("linked.yml", loose))))
	if n := w.s.Stats().Profiles; n != 1 {
		t.Errorf("%d profiles without unique", n)
	}
	if err := w.s.Check(); err != nil {
		t.Fatal(err)
	}
	mustAccept(t, w.s.Apply(AppendCookbook(nil, 5, readInline("linked.yml", linkedRecipe))))
	stripped := func(s string) string { // entry times are those of the switch for who came out anew
		var b strings.Builder
		for _, line := range strings.Split(s, "\n") {
			i, j := strings.Index(line, `"audiences"`), strings.Index(line, `"consent"`)
			if i > 0 {
				b.WriteString(line[:i] + line[j:] + "\n")
			}
		}
		return b.String()
	}
	if got := stripped(describe(w.s)); len(got) != len(stripped(before)) {
		t.Errorf("there and back:\n%s\n%s", got, stripped(before))
	}
	turned := strings.Replace(loose, "[{name: user_id, from: userId}, {name: email, from: traits.email}", "[{name: email, from: traits.email}, {name: user_id, from: userId}", 1)
	if r := w.s.Apply(AppendCookbook(nil, 6, readInline("linked.yml", turned))); r.Outcome != Refused || !strings.Contains(r.Detail, "another rank") {
		t.Errorf("%s: %s", r.Outcome, r.Detail)
	}
}

// Look-ups of linked profiles do not allocate either, by any identifier.
func TestLinkedLookupsDoNotAllocate(t *testing.T) {
	w := newTown(t, linkedRecipe)
	w.event("0 look a 0 anonymous_id:d")
	w.event("1 look a 0 user_id:u anonymous_id:d email:m@x.example")
	ids := []string{"user_id:u", "anonymous_id:d", "email:m@x.example"}
	var v View
	for _, id := range ids {
		ns, value, _ := strings.Cut(id, ":")
		n, val, hash := []byte(ns), []byte(value), identity.Hash(ns, []byte(value))
		w.s.Lookup(n, val, hash, &v)
		if allocs := testing.AllocsPerRun(100, func() {
			if !w.s.Lookup(n, val, hash, &v) || len(v.Identifiers) != 3 {
				t.Error("not found")
			}
		}); allocs > 0 {
			t.Errorf("%s: %v allocations", id, allocs)
		}
	}
}

// A bare look-up shows the same attributes and audiences, of a linked profile and of one that is alone, whatever the View showed before.
func TestBareLookups(t *testing.T) {
	w := newTown(t, linkedRecipe)
	w.event("0 look a 0 anonymous_id:d")
	w.event("1 look a 0 user_id:u anonymous_id:d email:m@x.example")
	w.event("2 look a 0 user_id:alone")
	full, bare := &View{}, &View{}
	w.s.Lookup([]byte("user_id"), []byte("u"), identity.Hash("user_id", []byte("u")), bare)
	bare.Bare = true
	for _, id := range []string{"user_id:u", "anonymous_id:d", "user_id:alone", "email:m@x.example", "user_id:nobody"} {
		ns, value, _ := strings.Cut(id, ":")
		n, val, hash := []byte(ns), []byte(value), identity.Hash(ns, []byte(value))
		found := w.s.Lookup(n, val, hash, full)
		if w.s.Lookup(n, val, hash, bare) != found {
			t.Fatalf("%s: found is %v only when not bare", id, found)
		}
		if !found {
			continue
		}
		for i := range full.Fields() {
			a, okA := full.AppendField(nil, i)
			b, okB := bare.AppendField(nil, i)
			if okA != okB || string(a) != string(b) {
				t.Errorf("%s: %s is %q, bare %q", id, full.FieldName(i), a, b)
			}
		}
		for i := range full.Program.Audiences {
			if full.In(i) != bare.In(i) {
				t.Errorf("%s: in audience %d: %v, bare %v", id, i, full.In(i), bare.In(i))
			}
		}
		if bare.Version != full.Version || len(full.Identifiers) == 0 || len(bare.Identifiers) != 0 {
			t.Errorf("%s: version %d, bare %d; %d identifiers, bare %d", id, full.Version, bare.Version, len(full.Identifiers), len(bare.Identifiers))
		}
	}
}
