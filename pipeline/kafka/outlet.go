package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrFenced means that a newer outlet of the same shard is open, here or on another node: this one can publish nothing
// any more. A node that believes it still leads the shard opens the outlet again, which fences the other.
var ErrFenced = errors.New("a newer outlet of the shard is open")

// ErrMoved means that the position is not where the caller thinks: an earlier Publish whose outcome was unknown turned out to have been committed. Go
// on from the position that is returned.
var ErrMoved = errors.New("outbox position has moved")

// OutletSettings are the settings of the outlets of one node.
type OutletSettings struct {
	Settings
	Cluster string // names the transactions and the groups of positions; one per dashi cluster
	Topic   string // activations
}

// Outlets are the outlets of a node. They share one client, so sixteen of them cost no more connections and goroutines
// than one. It is safe for concurrent use; each Outlet too.
type Outlets struct {
	settings   OutletSettings
	compressor kgo.Compressor
	mu         sync.Mutex // guards what follows
	client     *kgo.Client
	implicit   bool     // transaction.version 2: see txn.go
	route      *routing // of the topic; nil when it must be asked for
}

// NewOutlets checks the settings. It connects with the first Open.
func NewOutlets(settings OutletSettings) (*Outlets, error) {
	if settings.Cluster == "" || settings.Topic == "" {
		return nil, errors.New("cannot open an outlet: it needs the cluster's name and the topic")
	}
	settings.grant = fmt.Sprintf("Read, Write and Describe on topic %q, Write and Describe on the transactional ids that begin with %q, Read on the groups that begin with %q",
		settings.Topic, settings.Cluster+".shard.", settings.Cluster+".outbox.")
	o := &Outlets{settings: settings}
	if settings.Compression != "none" {
		c, err := kgo.DefaultCompressor(kgo.Lz4Compression())
		if err != nil {
			return nil, err
		}
		o.compressor = c
	}
	_, err := settings.options()
	return o, err
}

// Close closes the connections; no Publish may be under way.
func (o *Outlets) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.client != nil {
		o.client.Close() // and stays: a late Publish gets ErrClientClosed
	}
}

// Outlet publishes the outbox of one shard, each batch together with the outbox position that follows it, in one
// transaction: whoever opens the shard's outlet next continues exactly after what readers can see (I5, I6).
type Outlet struct {
	of    *Outlets
	shard int
	txnID string
	group string

	mu        sync.Mutex // held by Publish: one transaction at a time
	pid       int64
	epoch     int16
	sequences map[int32]int32 // next one per partition, within the epoch
	position  uint64
	state     outletState
	choose    kgo.TopicPartitioner
	batches   map[int32]*batch
}

type outletState uint8

const (
	outletReady   outletState = iota // no transaction is open, position is what was committed last
	outletUnknown                    // an error: a transaction may be open, committed or aborted
	outletFenced
)

// Open fences every earlier outlet of the shard, wherever it is, ends the transaction that it may have left, and returns the
// committed position: the first outbox entry that is not published, 0 when nothing ever was. Brokers forget positions that
// have not been committed for long (offsets.retention.minutes, 7 days) and drop them with the topic, so 0 or less than the first entry
// of the outbox means: begin with the first entry. A daily Publish of nothing keeps a quiet shard's position alive (I8).
func (o *Outlets) Open(ctx context.Context, shard int) (*Outlet, uint64, error) {
	out := &Outlet{
		of:        o,
		shard:     shard,
		txnID:     fmt.Sprintf("%s.shard.%d", o.settings.Cluster, shard),
		group:     fmt.Sprintf("%s.outbox.%d", o.settings.Cluster, shard),
		pid:       -1,
		epoch:     -1,
		sequences: make(map[int32]int32),
		choose:    kgo.StickyKeyPartitioner(nil).ForTopic(o.settings.Topic),
		batches:   make(map[int32]*batch),
	}
	err := o.connect(ctx)
	if err == nil {
		err = out.recover(ctx)
	}
	if err != nil {
		return nil, 0, o.settings.wrap(err, "open the outlet of shard %d", shard)
	}
	return out, out.position, nil
}

// Position is the first outbox entry that is not known to be published. After an error of Publish that is not ErrFenced, it is
// what was known before.
func (o *Outlet) Position() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.position
}

// Publish writes the batch, the outbox entries [from, to), and commits to as the position, all or nothing. A
// batch may be empty and need not have to-from messages: entries that consent withholds just move the position. Messages with
// equal keys keep their order. It returns the position that is now committed:
//
//	to, nil       published
//	p, ErrMoved   nothing was done now: the committed position is p, not from
//	from, error   not published: the transaction was aborted; try again
//	from, error   unknown (errors.Is ErrUnknown): the next Publish finds out first, and says so with ErrMoved
//	0, ErrFenced  not published, and never will be by this outlet
//
// When Publish meets an error it opens a new producer epoch, which aborts or completes whatever was under way, and reads the position
// again: what is returned is what the brokers say, not what is likely.
func (o *Outlet) Publish(ctx context.Context, from, to uint64, messages []Message) (uint64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if to < from || to > 1<<62 {
		return o.position, fmt.Errorf("cannot publish the outbox entries [%d, %d) of shard %d: not a range", from, to, o.shard)
	}
	if o.state == outletUnknown {
		if err := o.recover(ctx); err != nil {
			return o.failed(err)
		}
	}
	if o.state == outletFenced {
		return 0, o.wrap(ErrFenced)
	}
	if from != o.position {
		return o.position, o.wrap(fmt.Errorf("%w: to %d, not %d", ErrMoved, o.position, from))
	}
	for i := range messages {
		if n := messages[i].size(); n > maxRecordBytes {
			return o.position, o.wrap(fmt.Errorf("%w: message %d has %d bytes, the most is %d", ErrTooLarge, i, n, maxRecordBytes))
		}
	}
	err := o.transact(ctx, to, messages)
	if err == nil {
		o.position = to
		return to, nil
	}
	if fenced(err) {
		o.state = outletFenced
		return 0, o.wrap(fmt.Errorf("%w: %w", ErrFenced, err))
	}
	o.state = outletUnknown
	if rerr := o.recover(ctx); rerr != nil {
		return o.failed(errors.Join(err, rerr))
	}
	if o.position == to && to != from {
		return to, nil // the error was about the answer, not about the transaction
	}
	return o.position, o.wrap(err)
}

// ErrUnknown is wrapped by an error of Publish after which nobody knows yet whether the batch was published.
var ErrUnknown = errors.New("outcome of the transaction is unknown")

// failed is the error of a Publish whose recovery has failed too.
func (o *Outlet) failed(err error) (uint64, error) {
	if fenced(err) {
		o.state = outletFenced
		return 0, o.wrap(fmt.Errorf("%w: %w", ErrFenced, err))
	}
	return o.position, o.wrap(fmt.Errorf("%w: %w", ErrUnknown, err))
}

func (o *Outlet) wrap(err error) error {
	return o.of.settings.wrap(err, "publish the outbox of shard %d to topic %q", o.shard, o.of.settings.Topic)
}

func fenced(err error) bool {
	return errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch)
}

// recover gets a new producer epoch, with which the brokers end what the last one left, and then reads the position: in
// this order, or a transaction of a zombie could still be committed after the read.
func (o *Outlet) recover(ctx context.Context) error {
	if err := o.initProducer(ctx); err != nil {
		return err
	}
	position, err := o.readPosition(ctx)
	if err != nil {
		return err
	}
	o.position, o.state = position, outletReady
	return nil
}

// transact is one transaction: records, position, end. Any error leaves it in doubt.
func (o *Outlet) transact(ctx context.Context, to uint64, messages []Message) error {
	// The brokers abort a transaction that takes longer than transactionTimeout; give up well before.
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	t := transaction{Outlet: o, added: make(map[int32]bool)}
	if err := t.produce(ctx, messages); err != nil {
		return err
	}
	if err := t.commitPosition(ctx, to); err != nil {
		return err
	}
	return t.end(ctx)
}

// transactionTimeout is after how long the brokers abort a transaction of which nothing is heard. Until then readers
// of the topic wait behind it, if its outlet died.
const transactionTimeout = 60 * time.Second
