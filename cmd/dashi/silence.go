package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// patience is how long a request may go without an answer before the client checks whether anybody speaks HTTP there at all. A node answers that check at once.
const patience = 5 * time.Second

// do sends a request and waits for the head of the answer.
//
// An address that takes connections and says nothing, such as Kafka's, would be waited for for ever. A limit for the answer itself would
// be wrong for requests that take their time: a wait until all is idle, the hashes of all profiles, a cookbook that comes into force. So a client that hears
// nothing asks, on another connection, for what every node answers at once, even while it starts, and gives up if that is not answered either.
func (c *client) do(req *http.Request) (*http.Response, error) {
	if c.key != "" && req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	wait := c.patience
	if wait == 0 {
		wait = patience
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	var settled atomic.Bool // an answer has come, or the silence has been judged
	timer := time.AfterFunc(wait, func() {
		if err := c.speaksHTTP(ctx, 2*wait); err != nil && !settled.Swap(true) {
			cancel(err)
		}
	})
	resp, err := http.DefaultClient.Do(req.WithContext(ctx))
	timer.Stop()
	silent := settled.Swap(true)
	if err == nil && !silent {
		resp.Body = &answerBody{resp.Body, cancel}
		return resp, nil
	}
	if err == nil {
		resp.Body.Close()
	}
	if silent {
		err = context.Cause(ctx)
	}
	cancel(nil)
	return nil, err
}

// speaksHTTP says whether anything that is HTTP comes from the address in time.
func (c *client) speaksHTTP(ctx context.Context, wait time.Duration) error {
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	req, err := http.NewRequestWithContext(within, "GET", c.addr+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return errors.New("it takes connections and does not answer")
	}
	return resp.Body.Close()
}

// answerBody ends the context of a request when its body is closed.
type answerBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *answerBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
