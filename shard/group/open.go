package group

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"dashi/shard/snapshot"

	"github.com/hashicorp/raft"
)

// Open brings a state machine back whose only member is this node: the newest snapshot that can be read, then the log after it. The group leads and
// takes proposals when it returns.
func (h *Host) Open(id uint32, fsm FSM) (*Group, error) {
	g, err := h.OpenReplica(id, fsm, Replica{Members: []Member{{ID: h.settings.ID, Voter: true}}, Prefer: true})
	if err != nil {
		return nil, err
	}
	if !g.alone.Load() {
		return nil, errors.Join(fmt.Errorf("cannot open group %d as one of this node only: it has other members", id), g.Close())
	}
	if err := g.lead(); err != nil {
		h.release(g)
		g.end()
		g.asking.Wait()
		return nil, errors.Join(err, g.shutdown())
	}
	return g, nil
}

// Replica says how a replica that has never been on this node begins.
type Replica struct {
	// Members found the group: the same list is given to all of them, once in the life of the group. A replica that joins a group later has none; it
	// waits until the leader has added it.
	Members []Member
	// Prefer has this replica stand for election as soon as a majority of the voters has opened the group, unless there is a leader. One replica should have it.
	Prefer bool
}

// OpenReplica brings back one of several replicas: the newest snapshot that can be read, then what of the log is known to be committed. It does not wait for
// a leader. It fails with ErrDirty when this replica may have lost what it has acknowledged.
func (h *Host) OpenReplica(id uint32, fsm FSM, r Replica) (*Group, error) {
	if err := h.reserve(id); err != nil {
		return nil, err
	}
	defer h.opening.Done()
	g, err := h.open(id, fsm, r)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		delete(h.groups, id)
		return nil, err
	}
	h.groups[id] = g
	h.watchPeers()
	switch {
	case g.alone.Load() && g.Votes(): // nobody else can
		g.view.Campaign()
	case r.Prefer:
		g.ask(g.form)
	}
	return g, nil
}

// reserve notes that a group is being opened: nobody else opens it, and Close waits.
func (h *Host) reserve(id uint32) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	if _, there := h.groups[id]; there {
		return fmt.Errorf("cannot open group %d: it is open already", id)
	}
	h.groups[id] = nil
	h.opening.Add(1)
	return nil
}

func (h *Host) open(id uint32, fsm FSM, r Replica) (*Group, error) {
	g := &Group{id: id, host: h, fsm: fsm, logger: newLogger(h.settings.Log, id),
		started: make(chan struct{}), first: make(chan struct{}), changed: make(chan struct{}, 1), closing: make(chan struct{}), watched: make(chan struct{})}
	g.room.L, g.turn.L = &g.mu, &g.mu
	g.snapshots = &snapshotStore{g: g, store: h.snapshots}
	g.logs = &logStore{id: id, log: h.log, own: g.snapshots, synced: slices.Contains(h.settings.Synced, id)}
	g.setThreshold(0)
	if err := g.recover(configuration(r.Members)); err != nil {
		return nil, err
	}
	if err := g.trusted(); err != nil {
		return nil, err
	}
	if err := g.start(); err != nil {
		return nil, err
	}
	go g.watch()
	return g, nil
}

// lead waits until a group without other members leads.
func (g *Group) lead() error {
	select {
	case <-g.first:
		return nil
	case <-g.host.log.Failed():
		return fmt.Errorf("cannot open group %d: %w", g.id, g.host.log.Err())
	case <-time.After(openTimeout):
		return fmt.Errorf("cannot open group %d: no leader after %v", g.id, openTimeout)
	}
}

// openTimeout is long: a disk that hangs for some seconds is no reason to give up.
const openTimeout = time.Minute

// config is the settings of Raft. Its time-outs are the backstop of the failure detector.
func (g *Group) config() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(g.host.settings.ID)
	c.HeartbeatTimeout, c.ElectionTimeout = 2*time.Second, 2*time.Second // longer than a disk hangs for a moment: heartbeats wait behind appends
	c.LeaderLeaseTimeout = 1500 * time.Millisecond
	c.CommitTimeout = time.Second // the empty appends of a group at rest cost more than anything else
	c.MaxAppendEntries = max(64, g.host.settings.Pending+8)
	c.BatchApplyCh = true
	c.TrailingLogs = 0                                                     // logStore.DeleteRange decides
	c.SnapshotInterval, c.SnapshotThreshold = time.Hour, math.MaxUint64>>1 // we say when
	c.ShutdownOnRemove = false
	c.NoLegacyTelemetry = true
	c.NoSnapshotRestoreOnStart = true // recover has done that
	c.RestoreCommittedLogs = true
	c.Logger = g.logger
	return c
}

// start starts Raft with what recover has made of the state machine.
//
// Raft would restore the snapshot and the committed log by itself, but queues the log in memory before anything takes it from there, blocks for good
// when that is more than 128 batches, and forgets the members that the log names. So it is told of a snapshot at the entry that was
// applied last, which is never opened: what it needs of it is index, term and members.
func (g *Group) start() error {
	g.logger.quiet(true)
	view, err := g.host.transport.Group(g.id)
	if err != nil {
		return fmt.Errorf("cannot start group %d: %w", g.id, err)
	}
	g.view = view
	r, err := g.newRaft()
	g.logger.quiet(false)
	if err != nil {
		_ = view.Close()
		return fmt.Errorf("cannot start group %d: %w", g.id, err)
	}
	g.raft = r
	close(g.started)
	g.snapshots.started()
	r.RegisterObserver(raft.NewObserver(nil, false, g.observe))
	if r.State() == raft.Leader { // it may have become that before anybody observed it
		go g.ask(g.led)
	}
	return nil
}

// newRaft is raft.NewRaft, but returns errors of the disk as they were: Raft turns them into other errors and panics.
func (g *Group) newRaft() (r *raft.Raft, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
		if err != nil && g.logs.unread != nil {
			err = g.logs.unread
		}
	}()
	return raft.NewRaft(g.config(), machine{g}, g.logs, g.logs, g.snapshots, g.view)
}

// observe is called by Raft's main goroutine, which it must not hold up.
func (g *Group) observe(o *raft.Observation) bool {
	switch d := o.Data.(type) {
	case raft.LeaderObservation:
		if d.LeaderID != "" {
			g.lastLeader.Store(string(d.LeaderID))
		}
		g.kickChanged()
	case raft.RaftState:
		if d == raft.Leader {
			go g.ask(g.led)
		}
		g.kickChanged()
	}
	return false
}

// ledAgain is between two attempts of led: no barrier is taken while leadership is handed over, which may come to nothing.
const ledAgain = 5 * time.Millisecond

// led waits, on a new leader, until everything from before its term is applied, and then says that this replica leads. One that was late, from an earlier
// term, takes nothing back.
func (g *Group) led() {
	for g.raft.State() == raft.Leader {
		term, visible := g.raft.CurrentTerm(), g.logs.visible.Load()
		if g.barrier() == nil && g.raft.CurrentTerm() == term {
			g.logs.visible.CompareAndSwap(visible, g.applied.Load()) // it may have been an entry that was cut off
			g.leads(term)
			return
		}
		select {
		case <-time.After(ledAgain):
		case <-g.closing:
			return
		}
	}
}

func (g *Group) leads(term uint64) {
	defer g.kickChanged()
	for before := g.leading.Load(); before < term; before = g.leading.Load() {
		if g.leading.CompareAndSwap(before, term) {
			if before == 0 {
				close(g.first)
			}
			return
		}
	}
}

// recover brings the state machine to where it was. A group that was never on this node begins with these members.
func (g *Group) recover(members raft.Configuration) error {
	if err := g.host.snapshots.Clean(g.id); err != nil {
		return err
	}
	unreadable, err := g.restore()
	if err != nil {
		return err
	}
	if err := g.begin(members); err != nil {
		return fmt.Errorf("cannot begin group %d: %w", g.id, err)
	}
	if err := g.replay(); err != nil {
		return errors.Join(append([]error{err}, unreadable.errs...)...)
	}
	for _, info := range unreadable.infos { // only now that they are not needed; they must not push out good ones (I4)
		if err := g.host.snapshots.Remove(info); err != nil {
			return err
		}
	}
	return nil
}

// unreadable are snapshots that were passed over, and why.
type unreadable struct {
	infos []snapshot.Info
	errs  []error
}

// restore reads the newest good snapshot.
func (g *Group) restore() (bad unreadable, err error) {
	list, err := g.host.snapshots.List(g.id)
	if err != nil {
		return bad, err
	}
	for i, info := range list {
		meta, size, err := g.read(info, i == len(list)-1)
		if err == nil {
			g.applied.Store(info.Index)
			g.snapped.Store(info.Index)
			g.snapshots.found(meta, list[i+1:])
			g.setThreshold(size)
			return bad, nil
		}
		if !errors.Is(err, snapshot.ErrCorrupt) {
			return bad, err
		}
		bad.infos, bad.errs = append(bad.infos, info), append(bad.errs, err)
		g.host.count(func(s *Stats) { s.SnapshotsCorrupt++ })
		g.host.settings.Log.Error("snapshot cannot be read: trying the one before", "group", g.id, "index", info.Index, "error", err)
	}
	return bad, nil
}

// read restores a snapshot. The last candidate is checked as a whole first: if its damage came to light only when the state machine has taken it, no other
// snapshot could replace that state.
func (g *Group) read(info snapshot.Info, last bool) (meta *raft.SnapshotMeta, size int64, err error) {
	if last {
		if err := g.verify(info); err != nil {
			return nil, 0, err
		}
	}
	meta, r, err := g.snapshots.open(info)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	if err := g.fsm.Restore(r); err != nil {
		if r.Err() != nil {
			return nil, 0, r.Err()
		}
		return nil, 0, fmt.Errorf("cannot restore group %d from its snapshot at %d: %w", g.id, info.Index, err)
	}
	return meta, r.Size(), r.Drain()
}

func (g *Group) verify(info snapshot.Info) error {
	r, err := g.host.snapshots.Open(info)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Drain()
}

// begin writes the first entry of a group that was never on this node: its members, the same list on all of them.
func (g *Group) begin(members raft.Configuration) error {
	if _, last := g.host.log.Bounds(g.id); last > 0 || g.applied.Load() > 0 || len(members.Servers) == 0 {
		return nil
	}
	if err := g.logs.SetUint64([]byte(keyTerm), 1); err != nil {
		return err
	}
	err := g.logs.StoreLog(&raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(members)})
	if err != nil {
		return err
	}
	return g.host.log.Sync()
}

// replay applies the log after the snapshot as far as it is known to be committed. The rest is for Raft to decide.
func (g *Group) replay() error {
	first, last := g.host.log.Bounds(g.id)
	index := g.applied.Load()
	if last < index { // the log lost its tail in a power cut, and the snapshot has it
		return g.host.log.Reset(g.id, index+1)
	}
	if first > index+1 {
		return fmt.Errorf("cannot open group %d: its snapshot ends at entry %d and its log begins at %d", g.id, index, first)
	}
	if err := g.replayTo(min(g.host.log.Commit(g.id), last)); err != nil {
		return err
	}
	if alone, err := g.wasAlone(last); err != nil || !alone {
		return err
	}
	return g.replayTo(last)
}

// replayTo applies the log up to an entry.
func (g *Group) replayTo(last uint64) error {
	var buf []byte
	for index := g.applied.Load() + 1; index <= last; index++ {
		record, b, err := g.host.log.Read(g.id, index, buf)
		if err != nil {
			return err
		}
		buf = b
		if raft.LogType(record.Type) == raft.LogCommand {
			g.fsm.Apply(index, record.Data)
			g.host.count(func(s *Stats) { s.Replayed++ })
		}
		g.logged += int64(len(record.Data))
		g.applied.Store(index)
		if err := g.snapshots.reached(record); err != nil {
			return fmt.Errorf("entry %d of group %d: %w", index, g.id, err)
		}
	}
	g.logs.warm = g.applied.Load()
	return nil
}

// wasAlone says whether this node is the only member that counts, so that what is in its log is committed. The last list of members in the log is in
// force, committed or not.
func (g *Group) wasAlone(last uint64) (bool, error) {
	for index := g.applied.Load() + 1; index <= last; index++ {
		record, _, err := g.host.log.Read(g.id, index, nil)
		if err != nil {
			return false, err
		}
		if t := raft.LogType(record.Type); t == raft.LogCommand || t == raft.LogConfiguration {
			g.logs.visible.Store(index)
		}
		if raft.LogType(record.Type) == raft.LogConfiguration {
			c, err := decodeMembers(record.Data)
			if err != nil {
				return false, fmt.Errorf("entry %d of group %d: %w", index, g.id, err)
			}
			g.membersAre(c, index)
		}
	}
	members := g.members[0]
	return len(members.Servers) == 1 && members.Servers[0].Suffrage == raft.Voter && string(members.Servers[0].ID) == g.host.settings.ID, nil
}
