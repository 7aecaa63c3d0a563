package event

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"
)

// bothForms writes a parsed message as msgpack, by a library, and as JSON with the numbers as msgpack holds them. ok is
// false when it has a number that msgpack cannot hold.
func bothForms(r *raw) (packed, text []byte, ok bool) {
	var p, j bytes.Buffer
	enc := msgpack.NewEncoder(&p)
	enc.UseCompactInts(true)
	ok = writeBoth(enc, &j, r)
	return p.Bytes(), j.Bytes(), ok
}

func writeBoth(enc *msgpack.Encoder, j *bytes.Buffer, r *raw) bool {
	switch r.kind {
	case tokNull:
		enc.EncodeNil()
		j.WriteString("null")
	case tokTrue, tokFalse:
		enc.EncodeBool(r.kind == tokTrue)
		j.WriteString(r.text)
	case tokString:
		enc.EncodeString(r.text)
		j.Write(mustJSON(r.text))
	case tokNumber:
		if i, err := strconv.ParseInt(r.text, 10, 64); err == nil {
			enc.EncodeInt(i)
			j.WriteString(strconv.FormatInt(i, 10))
			return true
		}
		f, err := strconv.ParseFloat(r.text, 64)
		if err != nil {
			return false
		}
		enc.EncodeFloat64(f)
		j.Write(mustJSON(f))
	case tokArray:
		enc.EncodeArrayLen(len(r.members))
		j.WriteByte('[')
		for i, m := range r.members {
			if i > 0 {
				j.WriteByte(',')
			}
			if !writeBoth(enc, j, m) {
				return false
			}
		}
		j.WriteByte(']')
	case tokObject:
		enc.EncodeMapLen(len(r.members))
		j.WriteByte('{')
		for i, m := range r.members {
			if i > 0 {
				j.WriteByte(',')
			}
			enc.EncodeString(r.keys[i])
			j.Write(mustJSON(r.keys[i]))
			j.WriteByte(':')
			if !writeBoth(enc, j, m) {
				return false
			}
		}
		j.WriteByte('}')
	}
	return true
}

func reasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	return err.(*Rejected).Reason
}

// The same message in both forms has the same outcome.
func TestMsgpackEqualsJSON(t *testing.T) {
	limits := tight
	limits.EventBytes = 1 << 20
	d := NewDecoder(shop(), limits)
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		src := genJSON(t)
		if !json.Valid(src) {
			return
		}
		packed, text, ok := bothForms(parseRaw(src))
		if !ok {
			return
		}
		var a, b Event
		errA, errB := d.Decode(text, noon, &a), d.DecodeMsgpack(packed, noon, &b)
		if reasonOf(errA) != reasonOf(errB) {
			t.Fatalf("%s: JSON says %v, msgpack %v", text, errA, errB)
		}
		if errA == nil && !sameEvent(&a, &b) {
			t.Fatalf("%s: JSON gives\n%+v, msgpack\n%+v", text, normal(&a), normal(&b))
		}
		if errA == nil {
			accepted++
		}
	})
	if accepted == 0 {
		t.Error("nothing was accepted")
	}
}

func TestMsgpackOwnTypes(t *testing.T) {
	d := NewDecoder(shop(), DefaultLimits)
	f := func(properties map[string]any, want Reason) *Event {
		t.Helper()
		properties["coupon"] = "c"
		m, err := msgpack.Marshal(map[string]any{"type": "page", "userId": "u", "properties": properties})
		if err != nil {
			t.Fatal(err)
		}
		e := &Event{}
		if err := d.DecodeMsgpack(m, noon, e); reasonOf(err) != want {
			t.Errorf("%v: %v, want %q", properties, err, want)
		}
		return e
	}
	at := time.Date(2024, 5, 1, 10, 0, 0, 123_999_999, time.UTC)
	for _, v := range []time.Time{at, at.Truncate(time.Second), time.Date(1890, 1, 1, 0, 0, 0, 5e6, time.UTC), time.Date(2600, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if e := f(map[string]any{"ordered_at": v}, ""); int64(e.Values[9].Bits) != v.UnixMilli() || e.Values[9].Kind != Time {
			t.Errorf("%v became %+v", v, e.Values[9])
		}
	}
	if e := f(map[string]any{"price": float32(0.5), "quantity": uint64(math.MaxUint64)}, ""); math.Float64frombits(e.Values[7].Bits) != 0.5 ||
		math.Float64frombits(e.Values[8].Bits) != math.MaxUint64 {
		t.Errorf("numbers became %+v", e.Values)
	}
	f(map[string]any{"price": math.NaN()}, WrongType)
	f(map[string]any{"price": math.Inf(-1)}, WrongType)
	f(map[string]any{"price": at}, WrongType)
	f(map[string]any{"order_id": []byte("bin")}, WrongType)
	f(map[string]any{"order_id": "\xff"}, Malformed)
	f(map[string]any{"unread": []byte("bin"), "other": math.NaN(), "third": at, "deep": map[string]any{"x": []any{1, "\xff", nil}}}, "")
}

func TestMsgpackGarbage(t *testing.T) {
	d := NewDecoder(shop(), tight)
	var e Event
	f := func(src string, want Reason) {
		t.Helper()
		if err := d.DecodeMsgpack([]byte(src), noon, &e); reasonOf(err) != want {
			t.Errorf("%x: %v, want %q", clip([]byte(src)), err, want)
		}
	}
	good := "\x82\xa4type\xa4page\xa6userId\x07"
	f(good, "")
	for n := range len(good) {
		f(good[:n], Malformed)
	}
	f(good+"\xc0", Malformed)
	f("\xc1", Malformed)
	f("\x91\x01", WrongType)
	f("\x07", WrongType)
	f("\xdf\xff\xff\xff\xff", Malformed)
	f("\xdd\xff\xff\xff\xff", Malformed)
	f("\xdb\xff\xff\xff\xffx", Malformed)
	f("\x81\x01\x02", Malformed) // a key that is no str
	f("\x83\xa4type\xa4page\xa4type\xa4page\xa6userId\x07", DuplicateKey)
	deep := "\x83\xa4type\xa4page\xa6userId\x07\xa1x"
	for range 5 {
		deep += "\x91"
	}
	f(deep+"\xc0", "")
	f(deep+"\x91\xc0", TooDeep)
	f(string(make([]byte, tight.EventBytes+1)), TooLarge)
}

func FuzzDecodeMsgpack(f *testing.F) {
	for _, s := range append(seeds(), goldenMessages...) {
		if json.Valid([]byte(s)) {
			if packed, _, ok := bothForms(parseRaw([]byte(s))); ok {
				f.Add(packed)
			}
		}
	}
	d := NewDecoder(shop(), tight)
	f.Fuzz(func(t *testing.T, src []byte) {
		var e, again Event
		err := d.DecodeMsgpack(src, noon, &e)
		if err2 := d.DecodeMsgpack(src, noon, &again); !reflect.DeepEqual(err, err2) {
			t.Fatalf("first %v, then %v", err, err2)
		}
		if err == nil && !sameEvent(&e, &again) {
			t.Fatalf("first\n%+v, then\n%+v", normal(&e), normal(&again))
		}
		if err == nil && len(e.Identifiers) == 0 {
			t.Fatal("accepted without identifier")
		}
	})
}

func BenchmarkDecodeMsgpack(b *testing.B) {
	msgs := messages(4, 1024)
	for i := range msgs {
		msgs[i], _, _ = bothForms(parseRaw(msgs[i]))
	}
	d := NewDecoder(benchShop(), DefaultLimits)
	var e Event
	run(b, msgs, func(m []byte) {
		if err := d.DecodeMsgpack(m, noon, &e); err != nil {
			b.Fatal(err)
		}
	})
}
