// Package reread answers questions by reading Kafka's topics back from their end: what were the last events of a person (events.go), and which letters are
// dead (dead.go)? Dead letters it also sends again, to the topic or the webhook that they were for. Shards keep no events, so there is nobody else to ask.
//
// Each question bounds how many records are read. Two nodes may answer at once; a node sends dead letters again for one caller at a time.
package reread

import (
	"context"
	"fmt"
	"sync"

	"dashi/node/httpapi"
	"dashi/node/settings"
	"dashi/pipeline/kafka"
	"dashi/pipeline/webhook"
)

// Topics are what is read back, and where letters are sent again. The fields are set before the first call. The methods are safe for concurrent use.
type Topics struct {
	Kafka    kafka.Settings
	Inputs   []settings.Input
	Dead     string // topic of the dead letters
	Producer *kafka.Producer
	Webhook  func(name string) *webhook.Sink // nil when this node has none of that name

	resending sync.Mutex // held while dead letters are sent again
}

// unread is the error of a topic that could not be read.
func unread(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", httpapi.ErrUnavailable, err)
}
