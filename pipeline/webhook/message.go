package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"

	"dashi/pipeline/activation"
	"dashi/pipeline/kafka"
)

// The headers of a request: those of the Standard Webhooks specification, 1.0.0.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

// item is an activation that waits. key and value are its own copies.
type item struct {
	offset     int64
	millis     int64
	key, value []byte
}

func (i *item) size() int { return len(i.key) + len(i.value) }

// message is the body of one request and its id.
type message struct {
	id   string
	body []byte
}

// newMessage makes the message of a batch, which has at least one item. It depends on nothing but the items (I3).
func newMessage(batch []item) message {
	n := 64
	for i := range batch {
		n += len(batch[i].value) + 1
	}
	b := append(make([]byte, 0, n), `{"type":"dashi.activations","timestamp":"`...)
	b = time.UnixMilli(batch[len(batch)-1].millis).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","data":[`...)
	ids := sha256.New()
	for i := range batch {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, batch[i].value...)
		id := activation.ReadHeading(batch[i].value).ID
		if len(batch) == 1 {
			return message{id: string(id), body: append(b, ']', '}')}
		}
		ids.Write(id)
	}
	return message{id: hex.EncodeToString(ids.Sum(nil)[:16]), body: append(b, ']', '}')}
}

// sign is the value of HeaderSignature: one signature a secret.
func sign(secrets []Secret, id string, at int64, body []byte) string {
	var all []byte
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(strconv.AppendInt(append([]byte(id), '.'), at, 10))
		mac.Write([]byte{'.'})
		mac.Write(body)
		if i > 0 {
			all = append(all, ' ')
		}
		all = base64.StdEncoding.AppendEncode(append(all, "v1,"...), mac.Sum(nil))
	}
	return string(all)
}

// wants says whether an activation is for the endpoint. A record that dashi has not written is not: one that is no JSON would spoil a request.
func (s *Settings) wants(value []byte) bool {
	h := activation.ReadHeading(value)
	if h.ID == nil {
		return false
	}
	if len(s.Audiences)+len(s.Activations) == 0 {
		return true
	}
	if string(h.Transition) == string(activation.Erased) { // I6
		return true
	}
	for _, name := range s.Audiences {
		if h.Audience != nil && string(h.Audience) == name {
			return true
		}
	}
	for _, name := range s.Activations {
		if string(h.Activation) == name {
			return true
		}
	}
	return false
}

func newItem(r *kafka.Record) item {
	both := append(append(make([]byte, 0, len(r.Key)+len(r.Value)), r.Key...), r.Value...)
	n := len(r.Key)
	return item{r.Offset, r.Millis, both[:n:n], both[n:]}
}
