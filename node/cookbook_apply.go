package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dashi/node/cookbook"
	"dashi/node/httpapi"
	"dashi/pipeline/recipe"
	"dashi/ring/meta"
)

// applyPatience is how long the directory may take to commit a cookbook.
const applyPatience = 10 * time.Second

// Apply commits a cookbook as the next version, from whichever node; from then on it comes into force by itself. It is checked before. With the error
// httpapi.ErrForgets it also returns what the cookbook would change.
func (n *Node) Apply(ctx context.Context, a httpapi.Application) (*httpapi.Applied, error) {
	sources := make([]recipe.Source, len(a.Sources))
	for i, s := range a.Sources {
		sources[i] = recipe.Source{Name: s.Name, Text: []byte(s.Text)}
	}
	program, diagnostics := n.compile(sources)
	if program == nil {
		return nil, &httpapi.BadCookbook{Diagnostics: httpapi.Diagnostics(diagnostics)}
	}
	if large := cookbook.Oversize(program); large != nil {
		return nil, &httpapi.BadCookbook{Diagnostics: httpapi.Diagnostics(large)}
	}
	if err := n.checkFormats(program); err != nil {
		return nil, fmt.Errorf("%w: %w", httpapi.ErrUnfit, err)
	}
	ctx, cancel := context.WithTimeout(ctx, applyPatience)
	defer cancel()
	now, err := n.settledCookbook(ctx)
	if err != nil {
		return nil, err
	}
	changes := recipe.Compare(now.Program, program)
	applied := &httpapi.Applied{Version: now.Version, Changes: changes, Losses: changes.Losses(), Diagnostics: httpapi.Diagnostics(diagnostics), Same: now.Hash == program.Hash}
	why, err := n.refuses(ctx, program)
	if err != nil {
		return nil, err
	}
	switch {
	case why != "":
		return nil, fmt.Errorf("%w: %s", httpapi.ErrUnfit, why)
	case a.DryRun:
		return applied, nil
	case len(applied.Losses) > 0 && !a.Forget:
		return applied, httpapi.ErrForgets
	}
	put := cookbook.Put(program.Sources)
	err = n.change(ctx, func(s *meta.State) (meta.Command, error) {
		switch c := s.Cookbook(); {
		case c.Version != now.Version: // it has changed since the comparison
			return nil, httpapi.ErrUnderWay
		case applied.Same:
			return nil, errNoCommand
		}
		applied.Version = s.Cookbook().Version + 1
		return put, nil
	})
	var rejected *meta.Rejection
	switch {
	case busy(err):
		return nil, httpapi.ErrUnderWay
	case errors.As(err, &rejected):
		return nil, fmt.Errorf("%w: %s", httpapi.ErrUnfit, rejected.Detail)
	case err != nil:
		return nil, err
	}
	if !applied.Same {
		n.log.Info("a cookbook was applied", "version", applied.Version, "changes", changes.Summary())
	}
	return applied, nil
}

// settledCookbook is the cookbook in force, if none is on its way; else the error is httpapi.ErrUnderWay. If this node has not come as far as the directory
// says, it is waited for.
func (n *Node) settledCookbook(ctx context.Context) (*cookbook.Cookbook, error) {
	for {
		s, now := n.directory.State(), n.cookbook.Load()
		switch c := s.Cookbook(); {
		case c.Version == s.Switched && now.Version == s.Switched:
			return now, nil
		case c.Version != s.Switched && now.Version <= c.Version:
			return nil, httpapi.ErrUnderWay
		}
		if pause(ctx, switchPause); ctx.Err() != nil {
			return nil, fmt.Errorf("%w: this node has version %d, the cluster %d", httpapi.ErrUnderWay, now.Version, s.Switched)
		}
	}
}

// Cookbook is the recipes in force, and what is known of the ones on their way.
func (n *Node) Cookbook() httpapi.Cookbook {
	now, s := n.cookbook.Load(), n.directory.State()
	c := httpapi.Cookbook{Version: now.Version, Hash: fmt.Sprintf("%016x", now.Hash), Switching: n.switchStatus(s)}
	for i := range s.Cookbooks {
		if s.Cookbooks[i].Version == now.Version {
			c.At = time.UnixMilli(s.Cookbooks[i].At).UTC()
		}
	}
	if s.Refused.Version > 0 {
		c.Refused = &httpapi.Refusal{Version: s.Refused.Version, Reason: s.Refused.Reason}
	}
	for _, source := range now.Sources {
		c.Sources = append(c.Sources, httpapi.Source{Name: source.Name, Text: string(source.Text)})
	}
	return c
}

// switchStatus is how far the replicas here are with a cookbook that is on its way; nil when none is. Its Shards is the number of these replicas.
func (n *Node) switchStatus(s *meta.State) *httpapi.Switching {
	c := s.Cookbook()
	if c == nil || c.Version == s.Switched {
		return nil
	}
	w := &httpapi.Switching{Version: c.Version}
	for _, h := range n.shards {
		if h.group.Load() == nil {
			continue
		}
		w.Shards++
		h.mu.RLock()
		if h.shard.Held() > 0 {
			w.Held++
		}
		if h.shard.Version() >= c.Version {
			w.Switched++
		}
		h.mu.RUnlock()
	}
	return w
}

// checkFormats returns an error unless a cookbook has the decoders that the input topics need.
func (n *Node) checkFormats(p *recipe.Program) error {
	for _, in := range n.settings.Kafka.Inputs {
		if err := cookbook.CheckDecoder(in.Decoder, p); err != nil {
			return fmt.Errorf("cannot read topic %q: %w", in.Topic, err)
		}
	}
	return nil
}
