package resp

import "time"

// Limits bound what one client, and all of them, may use. The zero value of a field means its default.
type Limits struct {
	Connections int // open at once; one more is answered with an error and closed
	// Arguments of one command, bytes of one argument and bytes of one whole command. A command that exceeds one is a
	// protocol error: the connection is closed after the answer.
	Arguments, ArgumentBytes, CommandBytes int
	// The same before a client has given the password.
	AnonymousArguments, AnonymousBytes int
	// OutputBytes is where a batch of answers is written before the rest of the pipeline is looked at.
	OutputBytes int
	// Queue is how many activations wait for one subscriber; one more and it is disconnected.
	Queue int
	// Channels that one connection may subscribe to.
	Channels int
	// Idle is how long a connection may be silent; a subscriber may be silent for ever.
	Idle time.Duration
	// Anonymous is how long a connection may live without giving the password.
	Anonymous time.Duration
	// Write is how long one write may wait for a client that does not read.
	Write time.Duration
}

// DefaultLimits are for look-ups: keys are short, so a command is far smaller than Redis allows (512 MB).
var DefaultLimits = Limits{
	Connections:        10_000,   // Redis' maxclients
	Arguments:          8192,     // SMISMEMBER or EXISTS with 8,000 keys
	ArgumentBytes:      64 << 10, // identifiers are at most 256 bytes, Redis keys in practice below a few KB
	CommandBytes:       1 << 20,
	AnonymousArguments: 10,       // HELLO 3 AUTH user password SETNAME name is 7
	AnonymousBytes:     16 << 10, // Redis' own limit before AUTH
	OutputBytes:        256 << 10,
	Queue:              1024,
	Channels:           1024,
	Idle:               time.Hour, // pools drop idle connections after 30 minutes at most
	Anonymous:          10 * time.Second,
	Write:              30 * time.Second,
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits
	ints := []struct {
		have *int
		def  int
	}{
		{&l.Connections, d.Connections}, {&l.Arguments, d.Arguments}, {&l.ArgumentBytes, d.ArgumentBytes},
		{&l.CommandBytes, d.CommandBytes}, {&l.AnonymousArguments, d.AnonymousArguments},
		{&l.AnonymousBytes, d.AnonymousBytes}, {&l.OutputBytes, d.OutputBytes}, {&l.Queue, d.Queue}, {&l.Channels, d.Channels},
	}
	for _, f := range ints {
		if *f.have <= 0 {
			*f.have = f.def
		}
	}
	if l.Idle <= 0 {
		l.Idle = d.Idle
	}
	if l.Anonymous <= 0 {
		l.Anonymous = d.Anonymous
	}
	if l.Write <= 0 {
		l.Write = d.Write
	}
	return l
}

// bounds are what the parser checks.
type bounds struct {
	arguments, argumentBytes, commandBytes int
}
