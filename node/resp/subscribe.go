package resp

import (
	"bytes"
	"maps"
	"slices"
)

// The channels: activations, and activations.NAME for those of one activation, or of all that one audience makes leave.
const (
	allChannel    = "activations"
	channelPrefix = "activations."
)

// channels is what one session subscribes to. It is replaced, never changed, since publishers read it.
type channels struct {
	all   bool
	names map[string]struct{} // NAME of activations.NAME
}

func (c *channels) len() int {
	switch {
	case c == nil:
		return 0
	case c.all:
		return 1 + len(c.names)
	}
	return len(c.names)
}

func (c *channels) wants(m *message) bool {
	return c != nil && (c.all || c.has(m.activation) || c.has(m.audience))
}

func (c *channels) has(name string) bool {
	_, ok := c.names[name]
	return ok
}

func (c *channels) clone() *channels {
	if c == nil {
		return &channels{names: map[string]struct{}{}}
	}
	return &channels{all: c.all, names: maps.Clone(c.names)}
}

// list is the full names, in order.
func (c *channels) list() []string {
	var l []string
	if c == nil {
		return nil
	}
	if c.all {
		l = append(l, allChannel)
	}
	for _, name := range slices.Sorted(maps.Keys(c.names)) {
		l = append(l, channelPrefix+name)
	}
	return l
}

func (s *Session) setChannels(c *channels) {
	if c.len() == 0 {
		c = nil
	}
	if s.channels == nil && c == nil {
		return
	}
	s.channels = c
	if s.feed != nil {
		s.feed.listen(c)
	}
}

func (s *Session) subscribe() {
	for _, ch := range s.args[1:] {
		if string(ch) != allChannel && (!bytes.HasPrefix(ch, []byte(channelPrefix)) || len(ch) == len(channelPrefix)) {
			s.failShown("ERR there is no channel ", ch, ": activations has all activations, activations.NAME those of one audience or activation")
			return
		}
		// Silence would look like a quiet day.
		if name, ok := bytes.CutPrefix(ch, []byte(channelPrefix)); ok && !s.shared.backend.Sends(string(name)) {
			s.failShown("ERR there is no channel ", ch, ": nothing leaves under that name, it must be an audience or an activation of the cookbook in force")
			return
		}
	}
	c := s.channels.clone()
	mark := len(s.out)
	for _, ch := range s.args[1:] {
		if string(ch) == allChannel {
			c.all = true
		} else {
			c.names[string(ch[len(channelPrefix):])] = struct{}{}
		}
		if c.len() > s.shared.limits.Channels {
			s.out = s.out[:mark]
			s.fail("ERR too many channels on one connection")
			return
		}
		s.confirm("subscribe", ch, c)
	}
	s.setChannels(c)
}

func (s *Session) unsubscribe() {
	c := s.channels.clone()
	if len(s.args) == 1 {
		list := c.list()
		if len(list) == 0 {
			s.confirm("unsubscribe", nil, c)
		}
		for _, ch := range list {
			c.drop([]byte(ch))
			s.confirm("unsubscribe", []byte(ch), c)
		}
	} else {
		for _, ch := range s.args[1:] {
			c.drop(ch)
			s.confirm("unsubscribe", ch, c)
		}
	}
	s.setChannels(c)
}

func (c *channels) drop(ch []byte) {
	if string(ch) == allChannel {
		c.all = false
	} else if name, ok := bytes.CutPrefix(ch, []byte(channelPrefix)); ok {
		delete(c.names, string(name))
	}
}

// confirm answers one channel of a SUBSCRIBE or UNSUBSCRIBE; a nil channel is "none".
func (s *Session) confirm(what string, channel []byte, c *channels) {
	s.out = appendPush(s.out, s.resp3, 3)
	s.out = appendBulk(s.out, what)
	if channel == nil {
		s.null()
	} else {
		s.out = appendBulk(s.out, channel)
	}
	s.out = appendInt(s.out, int64(c.len()))
}

func (s *Session) psubscribe() {
	s.fail("ERR there are no patterns: SUBSCRIBE activations has the activations of all audiences")
}

// punsubscribe has nothing to end; clients send it when they close.
func (s *Session) punsubscribe() {
	patterns := s.args[1:]
	if len(patterns) == 0 {
		s.confirm("punsubscribe", nil, s.channels)
	}
	for _, p := range patterns {
		s.confirm("punsubscribe", p, s.channels)
	}
}

// appendMessage appends an activation once for each channel of c that it belongs to.
func appendMessage(dst []byte, resp3 bool, c *channels, m *message) []byte {
	if c == nil {
		return dst
	}
	if c.all {
		dst = appendPush(dst, resp3, 3)
		dst = appendBulk(dst, "message")
		dst = appendBulk(dst, allChannel)
		dst = appendBulk(dst, m.payload)
	}
	if c.has(m.audience) {
		dst = appendNamed(dst, resp3, m.audience, m.payload)
	}
	if m.activation != m.audience && c.has(m.activation) {
		dst = appendNamed(dst, resp3, m.activation, m.payload)
	}
	return dst
}

// appendNamed appends a message of the channel activations.NAME.
func appendNamed(dst []byte, resp3 bool, name string, payload []byte) []byte {
	dst = appendPush(dst, resp3, 3)
	dst = appendBulk(dst, "message")
	dst = appendHead(dst, '$', len(channelPrefix)+len(name))
	dst = append(dst, channelPrefix...)
	dst = append(dst, name...)
	dst = append(dst, '\r', '\n')
	return appendBulk(dst, payload)
}
