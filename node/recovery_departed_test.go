package node

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// A shard that the node came to lead while it read what had left was fenced only after the reading, which waited for the shard's open transaction: a minute.
func TestUnless(t *testing.T) {
	var more atomic.Bool
	with := errors.New("more")
	err := unless(t.Context(), more.Load, with, func(ctx context.Context) error {
		more.Store(true)
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, with) {
		t.Errorf("it ended with %v", err)
	}
	failed := errors.New("failed")
	for _, want := range []error{nil, failed} {
		if err := unless(t.Context(), func() bool { return false }, with, func(context.Context) error { return want }); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	if err := unless(ctx, func() bool { return false }, with, func(ctx context.Context) error { stop(); <-ctx.Done(); return ctx.Err() }); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
