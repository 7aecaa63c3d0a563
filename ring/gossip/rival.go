package gossip

import (
	"encoding/binary"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"
)

// Messages by which two processes with one id tell each other apart. A node that has been given another address hears of its old one from others that have
// not noticed yet: it asks there, and is answered by another process, by itself, or by nobody.
const (
	messageWho  = 2 // number of the asking process, length of the id, id, its address
	messageThis = 3 // number of the asking process, incarnation of who answers
)

// rivalWait is how long another process with the same id is waited for.
const rivalWait = time.Second

// rivals keeps the addresses, other than its own, at which this node's id was heard of.
type rivals struct {
	number  uint64 // of this process
	at      map[string]*memberlist.Node
	answers chan uint64 // incarnations of others
	self    chan struct{}
}

// note keeps the address of somebody with this node's id. Members forget one after a while, so there are few.
func (r *rivals) note(n *memberlist.Node) {
	if r.at == nil || len(r.at) >= maxRivals {
		r.at = map[string]*memberlist.Node{}
	}
	r.at[n.Address()] = &memberlist.Node{Addr: append(net.IP(nil), n.Addr...), Port: n.Port}
}

const maxRivals = 16

// hear takes messageWho and messageThis.
func (d *delegate) hear(kind byte, body []byte) {
	if len(body) < 9 {
		return
	}
	number := binary.LittleEndian.Uint64(body)
	mine := number == d.rivals.number
	switch kind {
	case messageWho:
		id, addr, ok := cutText(body[8:])
		if !ok || id != d.self { // the question is for another node, which had this address before
			return
		}
		if mine {
			wake(d.rivals.self)
			return
		}
		d.mu.Lock()
		answer := binary.LittleEndian.AppendUint64([]byte{messageThis}, number)
		answer = binary.LittleEndian.AppendUint64(answer, d.meta.Incarnation)
		d.mu.Unlock()
		if to, list := nodeAt(addr), d.list.Load(); to != nil && list != nil {
			go func() { _ = list.SendReliable(to, answer) }() // memberlist waits here for this to return; who asked asks again
		}
	case messageThis:
		if mine && len(body) == 16 {
			select {
			case d.rivals.answers <- binary.LittleEndian.Uint64(body[8:]):
			default:
			}
		}
	}
}

// cutText takes a text with a byte of its length from the beginning of b.
func cutText(b []byte) (text, rest string, ok bool) {
	if len(b) < 1+int(b[0]) {
		return "", "", false
	}
	n := 1 + int(b[0])
	return string(b[1:n]), string(b[n:]), true
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// nodeAt is a node to send to; nil when the address is none.
func nodeAt(addr string) *memberlist.Node {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil
	}
	ip := net.ParseIP(host)
	port, err := strconv.ParseUint(text, 10, 16)
	if ip == nil || err != nil {
		return nil
	}
	return &memberlist.Node{Addr: ip, Port: uint16(port)}
}

// Rival is the incarnation and an address of another process that has this node's id and answers at the moment; ok is false when there is none. It takes a
// second at most, and no time if no other address was heard of. Leave would speak for the rival as well: if it has the same incarnation, or is the rightful
// one, Close without Leave.
func (g *Gossip) Rival() (incarnation uint64, addr string, ok bool) {
	d := g.delegate
	d.mu.Lock()
	var at []*memberlist.Node
	for _, n := range d.rivals.at {
		at = append(at, n)
	}
	d.mu.Unlock()
	question := binary.LittleEndian.AppendUint64([]byte{messageWho}, d.rivals.number)
	question = append(append(question, byte(len(d.self))), d.self...)
	question = append(question, g.Addr()...)
	for _, n := range at {
		if incarnation, ok := g.who(n, question); ok {
			return incarnation, n.Address(), true
		}
		d.mu.Lock()
		delete(d.rivals.at, n.Address()) // until it is heard of again
		d.mu.Unlock()
	}
	return 0, "", false
}

// who asks at an address who is there.
func (g *Gossip) who(n *memberlist.Node, question []byte) (incarnation uint64, ok bool) {
	for r := &g.delegate.rivals; ; { // drop what came too late for the last question
		select {
		case <-r.answers:
			continue
		case <-r.self:
			continue
		default:
		}
		break
	}
	failed := make(chan struct{}, 1)
	go func() {
		if g.list.SendReliable(n, question) != nil {
			wake(failed)
		}
	}()
	select {
	case incarnation = <-g.delegate.rivals.answers:
		return incarnation, true
	case <-g.delegate.rivals.self:
	case <-failed:
	case <-time.After(rivalWait):
	}
	return 0, false
}
