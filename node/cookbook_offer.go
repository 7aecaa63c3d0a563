package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"dashi/node/cookbook"
	"dashi/pipeline/recipe"
	"dashi/ring/meta"
)

// given are the recipes that this node was given.
type given struct {
	recipes []recipe.Source // nil: none
	forget  bool            // Options.Forget
	later   bool            // they wait for a cookbook that is on its way; used by Open only
}

// openCookbook waits until every shard here has a cookbook. A node by itself then commits the recipes that it is given as the next one, if they are not
// those of its last start; in a cluster they can only be the first.
func (n *Node) openCookbook(ctx context.Context) error {
	if err := n.governUntil(ctx, "there is a cookbook", func(s *meta.State) bool { return s.Cookbook() != nil }); err != nil {
		return err
	}
	if _, err := n.target(); err != nil {
		return err
	}
	for behind := math.MaxInt; ; pause(ctx, switchPause) {
		if behind = n.without(); behind == 0 {
			if n.takeNewest(); n.cookbook.Load() != nil {
				break
			}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("not open: %d shards have no cookbook: %w", behind, err)
		}
		if _, leads := n.directory.group.Leader(); leads {
			if err := n.switchStep(ctx); err != nil {
				n.log.Debug("the first cookbook waits", "error", err)
			}
		}
	}
	return n.offer(ctx)
}

// errLater is an offer that has to wait until a cookbook that is on its way has come into force, or has been withdrawn.
var errLater = errors.New("another cookbook is on its way")

// offer is tryOffer, but if that has to be tried again later it notes so (given.later) and returns no error: see awaitSwitch.
func (n *Node) offer(ctx context.Context) error {
	err := n.tryOffer(ctx)
	if n.given.later = errors.Is(err, errLater); n.given.later {
		n.log.Info("the recipes are others than at the last start, and wait until the cookbook that is on its way is in force")
		return nil
	}
	return err
}

// without counts the shards here that have no cookbook. One that is still being brought here does not count.
func (n *Node) without() (count int) {
	for _, h := range n.shards {
		n.judge(h)
		h.mu.RLock()
		if h.answers && h.shard.Program() == nil {
			count++
		}
		h.mu.RUnlock()
	}
	return count
}

// target compiles the cookbook that the directory has committed last. It was compiled before it was committed, so an error means that another version of
// dashi did that.
func (n *Node) target() (*recipe.Program, error) {
	c := n.directory.State().Cookbook()
	program, diagnostics := n.compile(cookbook.Sources(c))
	if program == nil {
		return nil, fmt.Errorf("cannot use cookbook version %d of the cluster: %w", c.Version, &cookbook.CheckError{Diagnostics: diagnostics})
	}
	return program, nil
}

// tryOffer commits the recipes that a node by itself is given, if they are not those that it was given last: so `dashi dev` takes recipes that were edited,
// and with the same recipes as ever it keeps what `dashi apply` has put in force. Like apply it forgets nothing unless it is told to. Then the node does not
// start: to serve other recipes than those that it was given would be a surprise too.
func (n *Node) tryOffer(ctx context.Context) error {
	if n.given.recipes == nil {
		return nil
	}
	program, diagnostics := n.compile(n.given.recipes)
	if program == nil {
		return &cookbook.CheckError{Diagnostics: diagnostics}
	}
	given := fmt.Sprintf("%016x", program.Hash)
	c := n.directory.State().Cookbook()
	if slices.EqualFunc(cookbook.Sources(c), program.Sources, cookbook.SameSource) {
		return n.noteRecipes(given)
	}
	if n.gossip != nil || n.identity.Recipes == given {
		n.log.Warn("the recipes of this node are not those in force, and are not used: dashi apply puts them in force", "version", c.Version, "recipes", n.settings.Recipes)
		return nil
	}
	if large := cookbook.Oversize(program); large != nil {
		return &cookbook.CheckError{Diagnostics: large}
	}
	if n.switching() { // what they would change is known when it is over
		return errLater
	}
	if why, err := n.refuses(ctx, program); err != nil {
		return err
	} else if why != "" {
		return fmt.Errorf("cannot switch to the recipes: %s", why)
	}
	changes := recipe.Compare(n.cookbook.Load().Program, program)
	if losses := changes.Losses(); len(losses) > 0 && !n.given.forget {
		return fmt.Errorf("cannot switch to the recipes, which are others than at the last start: this would be forgotten for good: %s; start with --forget if that is meant, or with the recipes of before",
			strings.Join(losses, ", "))
	}
	n.log.Info("the recipes are others than at the last start: switching to them", "changes", changes.Summary())
	if err := n.change(ctx, func(s *meta.State) (meta.Command, error) {
		if s.Cookbook().Version != c.Version {
			return nil, errLater
		}
		return cookbook.Put(program.Sources), nil
	}); busy(err) {
		return errLater
	} else if err != nil {
		return err
	}
	return n.noteRecipes(given)
}

// busy says whether the directory rejects a cookbook because another is on its way.
func busy(err error) bool {
	var r *meta.Rejection
	return errors.As(err, &r) && r.Reason == meta.Busy
}

func (n *Node) noteRecipes(given string) error {
	if n.identity.Recipes == given {
		return nil
	}
	n.identity.Recipes = given
	return n.saveIdentity()
}

// awaitSwitch waits, on a node by itself, until no cookbook is on its way: whoever has started it with other recipes finds them in force.
func (n *Node) awaitSwitch(ctx context.Context) error {
	for n.gossip == nil {
		switch {
		case n.switching():
			pause(ctx, switchPause)
		case n.given.later:
			if err := n.offer(ctx); err != nil {
				return err
			}
		default:
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("not open: the cookbook has not been switched: %w", err)
		}
	}
	return nil
}
