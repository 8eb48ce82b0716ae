// A candidate of client-go's leaderelection, with the defaults of Kubernetes' components and ReleaseOnCancel.
package main

import (
	"context"
	"time"

	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"coordinated-election.io/bench/peers/peer"
)

// The defaults of k8s.io/component-base/config/v1alpha1.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

func main() {
	flags := peer.Parse()
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, flags.Namespace, flags.Lease,
		resourcelock.ResourceLockConfig{Identity: flags.Identity}, flags.Config(), renewDeadline)
	peer.Check(err)
	var work peer.Work
	ctx := work.UntilTerminated()
	peer.Say("started")
	// A program that lost its lease ends and is started again; here it stands again at once, which is the best case.
	for ctx.Err() == nil {
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock:            lock,
			LeaseDuration:   leaseDuration,
			RenewDeadline:   renewDeadline,
			RetryPeriod:     retryPeriod,
			ReleaseOnCancel: true,
			Name:            flags.Lease,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { work.Start() },
				OnStoppedLeading: work.Stop,
			},
		})
		peer.Check(err)
		elector.Run(ctx)
	}
}
