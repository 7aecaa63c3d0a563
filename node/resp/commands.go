package resp

// command is one word of the protocol.
type command struct {
	name  string
	arity int // with the name; negative: at least
	run   func(*Session)
	keys  [3]int // first, last, step, as COMMAND tells them; zeros: no keys
	// single is the argument that names the one profile that the command reads; 0 for other commands.
	single int
	open   bool // works before the password was given
	// listening: a RESP2 connection that subscribes may still say it.
	listening bool
}

var one = [3]int{1, 1, 1}

// commandList is in the order in which COMMAND lists it.
func commandList() []command {
	return []command{
		{name: "hgetall", arity: 2, run: (*Session).hgetall, keys: one, single: 1},
		{name: "hget", arity: 3, run: (*Session).hget, keys: one, single: 1},
		{name: "hmget", arity: -3, run: (*Session).hmget, keys: one, single: 1},
		{name: "hexists", arity: 3, run: (*Session).hexists, keys: one, single: 1},
		{name: "hlen", arity: 2, run: (*Session).hlen, keys: one, single: 1},
		{name: "exists", arity: -2, run: (*Session).exists, keys: [3]int{1, -1, 1}},
		{name: "type", arity: 2, run: (*Session).typeCommand, keys: one, single: 1},
		{name: "ttl", arity: 2, run: (*Session).ttl, keys: one, single: 1},
		{name: "pttl", arity: 2, run: (*Session).ttl, keys: one, single: 1},
		{name: "smembers", arity: 2, run: (*Session).smembers, keys: one, single: 1},
		{name: "sismember", arity: 3, run: (*Session).sismember, keys: one, single: 2},
		{name: "smismember", arity: -3, run: (*Session).smismember, keys: one},
		{name: "scard", arity: 2, run: (*Session).scard, keys: one},
		{name: "subscribe", arity: -2, run: (*Session).subscribe, listening: true},
		{name: "unsubscribe", arity: -1, run: (*Session).unsubscribe, listening: true},
		{name: "psubscribe", arity: -2, run: (*Session).psubscribe, listening: true},
		{name: "punsubscribe", arity: -1, run: (*Session).punsubscribe, listening: true},
		{name: "ping", arity: -1, run: (*Session).ping, listening: true},
		{name: "echo", arity: 2, run: (*Session).echo},
		{name: "quit", arity: -1, run: (*Session).quit, open: true, listening: true},
		{name: "reset", arity: 1, run: (*Session).reset, open: true, listening: true},
		{name: "hello", arity: -1, run: (*Session).hello, open: true},
		{name: "auth", arity: -2, run: (*Session).auth, open: true},
		{name: "select", arity: 2, run: (*Session).selectCommand},
		{name: "client", arity: -2, run: (*Session).client},
		{name: "command", arity: -1, run: (*Session).command},
		{name: "info", arity: -1, run: (*Session).info},
		{name: "dbsize", arity: 1, run: (*Session).dbsize},
		{name: "config", arity: -2, run: (*Session).config},
		{name: "readonly", arity: 1, run: (*Session).readonly},
		{name: "readwrite", arity: 1, run: (*Session).readwrite},
		{name: "dashi", arity: -2, run: (*Session).dashi},
		{name: "role", arity: 1, run: (*Session).role},
		{name: "cluster", arity: -2, run: (*Session).cluster},
	}
}

// tableOf finds a command by its upper-case name.
func tableOf(list []command) map[string]*command {
	table := make(map[string]*command, len(list))
	for i := range list {
		c := &list[i]
		table[string(upperCase(nil, []byte(c.name)))] = c
	}
	return table
}

// command answers COMMAND, which drivers ask for to find the keys in a command.
func (s *Session) command() {
	list := s.shared.commandList
	if len(s.args) == 1 {
		s.out = appendHead(s.out, '*', len(list))
		for i := range list {
			s.describe(&list[i])
		}
		return
	}
	switch sub := s.args[1]; {
	case is(sub, "COUNT"):
		s.out = appendInt(s.out, int64(len(list)))
	case is(sub, "DOCS"):
		s.openMap(0)
	case is(sub, "LIST"):
		s.out = appendHead(s.out, '*', len(list))
		for _, c := range list {
			s.out = appendBulk(s.out, c.name)
		}
	case is(sub, "INFO"):
		s.out = appendHead(s.out, '*', len(s.args)-2)
		for _, name := range s.args[2:] {
			var upper [maxName]byte
			if c, ok := s.shared.commandTable[string(upperCase(upper[:0], name))]; ok {
				s.describe(c)
			} else if s.resp3 {
				s.null()
			} else {
				s.out = append(s.out, "*-1\r\n"...)
			}
		}
	default:
		s.unknownSub("COMMAND", sub)
	}
}

// describe writes the six elements that COMMAND has had since Redis 2.8; later ones are optional.
func (s *Session) describe(c *command) {
	s.out = appendHead(s.out, '*', 6)
	s.out = appendBulk(s.out, c.name)
	s.out = appendInt(s.out, int64(c.arity))
	s.out = appendHead(s.out, s.setKind(), 2)
	if c.keys != [3]int{} {
		s.out = appendSimple(s.out, "readonly")
	} else {
		s.out = appendSimple(s.out, "loading")
	}
	s.out = appendSimple(s.out, "fast")
	for _, k := range c.keys {
		s.out = appendInt(s.out, int64(k))
	}
}

func (s *Session) unknownSub(name string, sub []byte) {
	s.failShown("ERR unknown subcommand ", sub, ". "+name+" has fewer here than in Redis.")
}
