package node

import (
	"context"
	"time"
)

// readPatience is how long the disk of a node may hang, or be full, before the node leaves the consumer group: longer than a hiccup, since others who take its
// partitions read them again from the marks.
const readPatience = 5 * time.Second

// read reads events until ctx is done. While the log of this node takes nothing, the node is mute and no event that it reads reaches a shard; so it leaves
// its partitions to the others, and comes back when the disk answers. A node by itself has nobody to leave them to.
func (n *Node) read(ctx context.Context) error {
	for ctx.Err() == nil {
		session, leave := context.WithCancel(ctx)
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			every(session, tickInterval, func() {
				if n.host.Stalled() > readPatience && len(n.directory.State().Members) > 1 {
					n.log.Warn("the disk takes nothing: others read the events that this node read")
					leave()
				}
			})
		}()
		err := n.source.Run(session)
		leave()
		<-watched
		if err != nil {
			return err
		}
		n.awaitDisk(ctx)
	}
	return nil
}

// awaitDisk returns when the disk takes what is written, or ctx is done.
func (n *Node) awaitDisk(ctx context.Context) {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	every(waiting, tickInterval, func() {
		if n.host.Stalled() == 0 {
			stop()
		}
	})
}
