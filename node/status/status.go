package status

import (
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/webhook"
)

// Status is what GET /v1/status answers and what `dashi status` and the console show.
type Status struct {
	Cluster  string    `json:"cluster"`
	Node     string    `json:"node"` // the one that answers
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Uptime   string    `json:"uptime"`
	Ready    bool      `json:"ready"`
	Trouble  []string  `json:"trouble"`            // what a person should look at; empty when all is well
	Recovery string    `json:"recovery,omitempty"` // what was or is being recovered, in words
	// PowerLoss is the last time that shards had to go back; nil: there was none.
	PowerLoss *Recovery `json:"power_loss,omitempty"`

	Cookbook    Cookbook         `json:"cookbook"`
	Clock       Clock            `json:"clock"`
	Events      Events           `json:"events"`
	Profiles    int              `json:"profiles"`
	Accounts    int              `json:"accounts"`
	Expired     uint64           `json:"expired"` // profiles that went because nothing was heard of them
	Erased      uint64           `json:"erased"`  // profiles that were erased
	Memory      Memory           `json:"memory"`
	Latency     Latency          `json:"latency"`
	Lookups     Lookups          `json:"lookups"`
	Activations Activations      `json:"activations"`
	Webhooks    []webhook.Status `json:"webhooks"`
	Kafka       Kafka            `json:"kafka"`
	Nodes       []Node           `json:"nodes"`
	Directory   Directory        `json:"directory"`
	Shards      []Shard          `json:"shards"`
	Log         Log              `json:"log"`
}

// Cookbook says what is in force.
type Cookbook struct {
	Version    uint64             `json:"version"`
	Switching  *httpapi.Switching `json:"switching,omitempty"` // to another version, that is coming into force
	Hash       string             `json:"hash"`
	Recipes    []string           `json:"recipes"`
	Attributes int                `json:"attributes"`
	Audiences  int                `json:"audiences"`
}

// Clock says what time it is for the shards, and what waits for it.
type Clock struct {
	Follows    string    `json:"follows"` // wall, or event: the times of events
	Now        time.Time `json:"now"`     // the latest of all shards: with clock wall, of their last entries
	Timers     int       `json:"timers"`  // profiles that wake at an instant
	TimerBytes int64     `json:"timer_bytes"`
	Woken      uint64    `json:"woken"`        // profiles that have woken since the data directory was made
	Late       float64   `json:"late_seconds"` // by how much the first timer that is due is late
}

// Events counts events.
type Events struct {
	Applied   uint64            `json:"applied"`  // since the data directory was made
	Repeated  uint64            `json:"repeated"` // dropped because their message id had been seen
	Consumed  uint64            `json:"consumed"` // records read since the start of the process
	Rejected  map[string]uint64 `json:"rejected"` // sent to the dead topic, by reason, since the start of the process
	PerSecond float64           `json:"per_second"`
	HeldBack  string            `json:"held_back,omitempty"` // why events wait at the moment: all of them, or those of a shard without a leader
}

// Memory is in bytes.
type Memory struct {
	Profiles int64  `json:"profiles"`
	Limit    int64  `json:"limit"`
	Recent   int64  `json:"recent"` // message ids
	Heap     uint64 `json:"heap"`   // of the Go runtime
}

// Latency is the time from fetched to applied over the last minute, in milliseconds.
type Latency struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// Lookups counts profiles that this node was asked for since its start, whether they were there or not.
type Lookups struct {
	HTTP uint64 `json:"http"`
	RESP uint64 `json:"resp"`
}

// Activations counts activations.
type Activations struct {
	Made      uint64 `json:"made"`      // put into the outboxes since the data directory was made
	Withheld  uint64 `json:"withheld"`  // stopped by a missing consent
	Shortened uint64 `json:"shortened"` // left without their attributes, which would have made them too long
	// Suppressed are those that were triggered and did not leave, by reason: see deploy/recipes/README.md.
	Suppressed map[string]uint64 `json:"suppressed,omitempty"`
	Published  uint64            `json:"published"` // acknowledged by Kafka since the start of the process
	Waiting    uint64            `json:"waiting"`
}

// Kafka says where events come from and how far they have been read.
type Kafka struct {
	Brokers  []string `json:"brokers"`
	Inputs   []string `json:"inputs"`
	Dead     string   `json:"dead"` // topic of what could not be understood
	Embedded bool     `json:"embedded"`
	Streams  []Stream `json:"streams"`
}

// Stream is one partition that this node consumes.
type Stream struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Read      int64  `json:"read"`    // next offset to read
	Applied   int64  `json:"applied"` // every shard has everything below
	Durable   int64  `json:"durable"` // and would still have it after a power cut
	// Lag is how many records before the end of the partition, as Kafka said within the last seconds, are not applied; nil: Kafka has not said it yet.
	Lag *int64 `json:"lag,omitempty"`
}

// Shard is one shard.
type Shard struct {
	ID            uint32 `json:"id"`
	Profiles      int    `json:"profiles"`
	Bytes         int64  `json:"bytes"`
	Events        uint64 `json:"events"`
	Index         uint64 `json:"index"`
	Durable       uint64 `json:"durable"`
	OutboxEntries uint64 `json:"outbox_entries"`
	OutboxBytes   int64  `json:"outbox_bytes"`
	RecentIDs     int    `json:"recent_ids"`
	// RecentSince is since when every message id is remembered; the zero time: since the beginning.
	RecentSince time.Time `json:"recent_since,omitzero"`
	Hash        string    `json:"hash,omitempty"`
	// Unreachable says that no node that has the shard could be asked: the figures are not there.
	Unreachable bool `json:"unreachable,omitempty"`
	// Leader is the node that leads the shard; empty: none is known. The other figures are those of the replica on this node, or of another if there is none.
	Leader   string    `json:"leader"`
	Replicas []Replica `json:"replicas"`
}

// Log is the log on disk.
type Log struct {
	Durability string `json:"durability"`
	Bytes      int64  `json:"bytes"`
	Snapshots  uint64 `json:"snapshots"` // taken since the start
	Replayed   uint64 `json:"replayed"`  // entries applied from the log at the start
	Error      string `json:"error,omitempty"`
	// Stalled is for how many seconds the disk has not answered, or has been full (Full), at the moment; Stalls how often that was since the start.
	Stalled float64 `json:"stalled_seconds,omitempty"`
	Full    bool    `json:"full,omitempty"`
	Stalls  uint64  `json:"stalls"`
}

// Node is one node of the cluster, as the one that answers sees it.
type Node struct {
	ID       string `json:"id"`
	Self     bool   `json:"self,omitempty"`
	State    string `json:"state"` // alive, failed, left, or unknown to gossip
	Node     string `json:"node"`  // address for other nodes
	HTTP     string `json:"http"`
	Zone     string `json:"zone,omitempty"`
	Draining bool   `json:"draining,omitempty"` // it is being emptied, or is empty
	Stalled  bool   `json:"stalled,omitempty"`  // its disk does not answer, or is full: others lead its shards
	Replicas int    `json:"replicas"`           // that the directory has placed there
	Leads    int    `json:"leads"`              // shards, by the last word of their replicas
	// Heard is when the node last told how far it is; the zero time: never.
	Heard time.Time `json:"heard,omitzero"`
}

// Replica is one replica of a shard.
type Replica struct {
	Node    string `json:"node"`
	Leads   bool   `json:"leads,omitempty"`
	Applied uint64 `json:"applied"`
	Lag     uint64 `json:"lag"`              // entries behind the leader; where there is none, behind the one that has most. Of other nodes it is half a second old
	Silent  bool   `json:"silent,omitempty"` // the figures are old: the node does not answer
}

// Move is a replica on its way.
type Move struct {
	Shard  int       `json:"shard"`
	Add    string    `json:"add,omitempty"`
	Remove string    `json:"remove,omitempty"`
	Step   string    `json:"step"`
	Since  time.Time `json:"since"`
}

// Directory is the directory.
type Directory struct {
	ClusterID string   `json:"cluster_id"`
	Epoch     uint64   `json:"epoch"`
	Placed    uint64   `json:"placed"` // epoch of the last change of a placement
	Leader    string   `json:"leader"`
	Voters    []string `json:"voters"`   // the nodes that vote in it
	Cookbook  uint64   `json:"cookbook"` // version
	Replicas  int      `json:"replicas"` // that every shard should have
	Moves     []Move   `json:"moves"`
}

// Recovery is the last time that a majority of a shard had lost the end of its log, and all went back: see shard/DESIGN.md, power loss.
type Recovery struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // the zero time: it is under way
	// Lost are the shards that had no majority left that was known to have what was acknowledged.
	Lost []uint32 `json:"lost"`
	// Gone is how many entries of the longest logs that were left all shards together gave up to agree. What Kafka had sent with them is read again.
	Gone uint64 `json:"entries_gone"`
	// Departed are activations that had left in these; Remade those of them that were made again, and did not leave a second time. The others
	// were made again in the name of another profile, or at another instant, and left so; or not at all.
	Departed uint64 `json:"activations_departed"`
	Remade   uint64 `json:"activations_remade"`
	// Settling are the shards that wait for Kafka to say what has left.
	Settling []uint32 `json:"settling,omitempty"`
}
