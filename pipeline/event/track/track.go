// Package track writes track messages of the Segment spec, for tests that think in identifiers: where each goes in a message is said here
// and nowhere else. It knows the names that the default identity and those of tests give to Segment's own fields.
package track

import (
	"encoding/json"
	"strings"
	"time"
)

// Message is a track message with that id, event name, event time and properties, of somebody with the identifiers who, each as namespace:value. user and
// user_id stand in userId, device and anonymous_id in anonymousId, context.groupId and its like in the context, all others in the traits by their names. It panics on properties that are no JSON.
func Message(id, name string, at time.Time, properties map[string]any, who ...string) []byte {
	traits, context := map[string]any{}, map[string]any{}
	m := map[string]any{"type": "track", "event": name, "messageId": id, "timestamp": at.UTC().Format(time.RFC3339Nano),
		"properties": properties, "traits": traits, "context": context}
	for _, identifier := range who {
		switch namespace, value, _ := strings.Cut(identifier, ":"); namespace {
		case "user", "user_id":
			m["userId"] = value
		case "device", "anonymous_id":
			m["anonymousId"] = value
		default:
			if field, ok := strings.CutPrefix(namespace, "context."); ok {
				context[field] = value
				break
			}
			traits[namespace] = value
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return text
}
