package track

import (
	"testing"
	"time"
)

func TestMessage(t *testing.T) {
	got := string(Message("m1", "buy", time.UnixMilli(1_000), map[string]any{"total": 9}, "user_id:u", "email:a@x.example", "device:d:1", "context.groupId:g"))
	want := `{"anonymousId":"d:1","context":{"groupId":"g"},"event":"buy","messageId":"m1","properties":{"total":9},"timestamp":"1970-01-01T00:00:01Z","traits":{"email":"a@x.example"},"type":"track","userId":"u"}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
