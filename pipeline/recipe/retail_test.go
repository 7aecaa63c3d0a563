package recipe

import (
	"encoding/binary"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
)

// person is a profile as simply as can be: it applies the rules of a program one by one.
type person struct {
	env     expr.Env
	segs    [][]byte
	scratch []byte
}

func newPerson(p *Program) *person {
	x := &person{segs: make([][]byte, p.Segments)}
	x.env.State.Fixed = make([]byte, p.FixedSize)
	x.env.Consent = make([]byte, 8*len(p.Purposes))
	x.env.Audiences = make([]uint64, (len(p.Audiences)+63)/64)
	x.pack()
	return x
}

// pack writes the segments in the form of a record.
func (x *person) pack() {
	s := &x.env.State
	s.Dir, s.Data = s.Dir[:0], s.Data[:0]
	for _, seg := range x.segs {
		s.Data = append(s.Data, seg...)
		n := uint32(len(s.Data))
		s.Dir = append(s.Dir, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	}
}

func (x *person) apply(p *Program, e *event.Event) {
	x.env.Event = e
	for _, r := range p.Rules[e.Type] {
		n := 1
		if r.Array > 0 {
			n = e.Lens[r.Array-1]
		}
		for x.env.Item = range n {
			if r.Where != nil && r.Where(&x.env) != expr.True {
				continue
			}
			if r.Attribute < 0 {
				if v := r.Value(&x.env); v.Kind == event.Bool {
					binary.LittleEndian.PutUint64(x.env.Consent[8*r.Purpose:], uint64(e.Time)<<1|v.Bits)
				}
				continue
			}
			a := &p.Attributes[r.Attribute]
			in := attribute.Input{Op: r.Op, By: 1, Time: e.Time, ID: e.ID}
			if r.Value != nil {
				in.Value = r.Value(&x.env)
			}
			if r.By != nil {
				by, ok := r.By(&x.env)
				if !ok {
					continue
				}
				in.By = by
			}
			fixed := x.env.State.Fixed[a.Slot.Offset : a.Slot.Offset+a.Kind.FixedSize()]
			var seg []byte
			if a.Slot.Segment >= 0 {
				seg = x.segs[a.Slot.Segment]
			}
			seg = a.Kind.Update(fixed, seg, &in, x.scratch)
			if a.Slot.Segment >= 0 {
				x.segs[a.Slot.Segment] = append(x.segs[a.Slot.Segment][:0], seg...)
			}
		}
	}
	x.env.Event = nil
}

func (x *person) number(p *Program, name string) float64 {
	for i := range p.Attributes {
		if a := &p.Attributes[i]; a.Name == name {
			v, ok := a.Num(&x.env)
			if !ok {
				return math.NaN()
			}
			return v
		}
	}
	panic("no attribute " + name)
}

func (x *person) in(p *Program, name string) bool {
	found := false
	for i, a := range p.Audiences {
		if a.Condition(&x.env) == expr.True {
			x.env.Audiences[i/64] |= 1 << (i % 64)
			found = found || a.Name == name
		}
	}
	return found
}

// customer is what the naive code knows of one.
type customer struct {
	invoices             map[string]bool
	lines, refundLines   int
	gross, net, refunded float64
	first, last          int64
	pieces               map[string]float64
	countries            map[string]bool
}

// naive computes the customers from the rows, with no part of dashi.
func naive(t *testing.T, rows [][]string) map[string]*customer {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	all, seen := map[string]*customer{}, map[string]bool{}
	for _, r := range rows {
		line := strings.Join(r, "\x00")
		if r[6] == "" || seen[line] {
			continue
		}
		seen[line] = true
		c := all[r[6]]
		if c == nil {
			c = &customer{invoices: map[string]bool{}, pieces: map[string]float64{}, countries: map[string]bool{}, first: math.MaxInt64}
			all[r[6]] = c
		}
		quantity, _ := strconv.ParseFloat(r[3], 64)
		price, _ := strconv.ParseFloat(r[5], 64)
		at, err := time.ParseInLocation("2006-01-02T15:04:05", r[4], london)
		if err != nil {
			t.Fatal(err)
		}
		c.lines++
		c.net += quantity * price
		c.countries[r[7]] = true
		if quantity > 0 {
			c.gross += quantity * price
		}
		if strings.HasPrefix(r[0], "C") {
			c.refundLines++
			c.refunded -= quantity * price
			continue
		}
		c.invoices[r[0]] = true
		c.pieces[r[1]] += quantity
		c.first, c.last = min(c.first, at.UnixMilli()), max(c.last, at.UnixMilli())
	}
	return all
}

// The recipe for Online Retail, with the shop's beside it, gives for every customer of the file what naive code computes.
func TestRetailFile(t *testing.T) {
	rows := retailRows(t)
	p, found := Compile([]Source{readRecipe(t, "testdata/shop.yml"), readRecipe(t, "online_retail.yml")})
	if p == nil {
		t.Fatal(found)
	}
	b, err := p.Mappings["online_retail"].Bind(rows[0])
	if err != nil {
		t.Fatal(err)
	}
	rows = rows[1:]
	people, anonymous := map[string]*person{}, 0
	decoder := event.NewDecoder(p.Schema, event.DefaultLimits)
	seen := map[[2]uint64]bool{}
	var e event.Event
	var dst []byte
	scratch := make([]byte, 0, 1<<17)
	for _, row := range rows {
		out, key, ms, err := b.AppendEvent(dst[:0], row)
		if errors.Is(err, ErrAnonymous) {
			anonymous++
			continue
		}
		if err == nil {
			err = decoder.Decode(out, ms, &e)
		}
		if err != nil {
			t.Fatalf("%v: %v", row, err)
		}
		dst = out
		if e.Time != ms || string(key) != "user_id:"+string(e.Identifiers[0].Value) || e.Type == 0 {
			t.Fatalf("%v: event time %d and %d, key %s, type %d", row, e.Time, ms, key, e.Type)
		}
		if seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		x := people[row[6]]
		if x == nil {
			x = newPerson(p)
			people[row[6]] = x
		}
		x.scratch = scratch
		x.apply(p, &e)
	}
	want := naive(t, rows)
	if anonymous != 67193 || len(people) != len(want) || len(want) != 2187 {
		t.Fatalf("%d people, %d anonymous rows; want %d and 67193", len(people), anonymous, len(want))
	}
	vips := 0
	for id, w := range want {
		x := people[id]
		x.pack()
		check := func(name string, want float64) {
			t.Helper()
			if got := x.number(p, name); math.Abs(got-want) > 1e-6 {
				t.Errorf("customer %s: %s is %v, want %v", id, name, got, want)
			}
		}
		check("retail_lines", float64(w.lines))
		check("retail_gross", w.gross)
		check("retail_net", w.net)
		if w.refundLines > 0 {
			check("retail_refund_lines", float64(w.refundLines))
			check("retail_refunded", w.refunded)
		}
		check("retail_orders", float64(len(w.invoices)))
		if len(w.invoices) > 0 {
			check("retail_first_order", float64(w.first))
			check("retail_last_order", float64(w.last))
		}
		vip := w.net > 2000 && len(w.invoices) >= 5
		if vip {
			vips++
		}
		if got := x.in(p, "retail_vip"); got != vip {
			t.Errorf("customer %s: retail_vip is %v", id, got)
		}
	}
	t.Logf("%d customers, %d of them VIPs", len(want), vips)
}

// retailRows reads the file, header first; without the file the test is skipped.
func retailRows(t *testing.T) [][]string {
	file, err := os.Open("../../../shared/data/online_retail_evencust.csv.gz")
	if err != nil {
		t.Skip("the file is not here")
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(z)
	var rows [][]string
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
}
