package cluster

import (
	"context"
	"errors"
	"sync"

	"k8s.io/client-go/rest"

	"opendatahub.io/operator/test/cluster/strimzi"
)

// player is an operator that a program plays, as long as it is started.
type player struct {
	strimzi *strimzi.Player

	mu     sync.Mutex
	cancel context.CancelFunc
	ended  chan error
}

// Strimzi is the played Strimzi operator, to have it behave otherwise.
func (c *Cluster) Strimzi() *strimzi.Player { return c.strimzi.strimzi }

func (p *player) start(config *rest.Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	p.cancel, p.ended = cancel, ended
	go func() { ended <- p.strimzi.Run(ctx, config) }()
}

// stop returns when the operator does nothing any more.
func (p *player) stop(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel == nil {
		return nil
	}
	p.cancel()
	p.cancel = nil
	select {
	case err := <-p.ended:
		return err
	case <-ctx.Done():
		return errors.New("the played Strimzi operator does not stop")
	}
}
