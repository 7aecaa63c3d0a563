package node

import (
	"context"
	"errors"
	"slices"

	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
)

// refuses says why a shard would not take a program in place of the one that it has; empty if all would. Every shard is asked, wherever it is, unless
// what they judge by has not changed: the names of namespaces, and their order.
func (n *Node) refuses(ctx context.Context, next *recipe.Program) (string, error) {
	if slices.EqualFunc(n.cookbook.Load().Schema.Namespaces, next.Schema.Namespaces, func(a, b event.Namespace) bool { return a.Name == b.Name }) {
		return "", nil
	}
	var body []byte
	for _, ns := range next.Schema.Namespaces {
		body = appendBytes(body, []byte(ns.Name))
	}
	questions := n.toAll(askRefuses, body)
	if err := n.inquire(ctx, readLocal, questions); err != nil {
		if slices.ContainsFunc(questions, func(q *question) bool { return !q.over() }) {
			return "", err
		} // else a node of another version does not know the question: the switch asks again
	}
	for _, q := range questions {
		if q.err == nil && len(q.answer) > 0 {
			return string(q.answer), nil
		}
	}
	return "", nil
}

// answerRefuses answers askRefuses: names of namespaces, strongest first. The answer is a sentence, or nothing.
func (h *shardHost) answerRefuses(body []byte) (answer []byte, err error) {
	var namespaces []event.Namespace
	for len(body) > 0 {
		var name []byte
		if name, body, err = readBytes(body); err != nil {
			return nil, err
		}
		namespaces = append(namespaces, event.Namespace{Name: string(name)})
	}
	if len(namespaces) == 0 {
		return nil, errors.New("no namespaces")
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return []byte(h.shard.Refuses(namespaces)), nil
}
