// A candidate of Kubernetes' own coordinated election: a LeaseCandidate, and leaderelection in its coordinated mode. The elector
// is a controller inside kube-apiserver, behind the feature gate CoordinatedLeaderElection.
package main

import (
	"context"
	"time"

	coordination "k8s.io/api/coordination/v1"
	"k8s.io/client-go/kubernetes"
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
	config := flags.Config()
	client, err := kubernetes.NewForConfig(config)
	peer.Check(err)
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, flags.Namespace, flags.Lease,
		resourcelock.ResourceLockConfig{Identity: flags.Identity}, config, renewDeadline)
	peer.Check(err)
	candidate, _, err := leaderelection.NewCandidate(client, flags.Namespace, flags.Identity, flags.Lease,
		flags.BinaryVersion, flags.EmulationVersion, coordination.OldestEmulationVersion)
	peer.Check(err)
	var work peer.Work
	ctx := work.UntilTerminated()
	go candidate.Run(ctx)
	peer.Say("started")
	// A program whose term has ended ends and is started again; here it stands again at once, which is the best case.
	for ctx.Err() == nil {
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock:            lock,
			LeaseDuration:   leaseDuration,
			RenewDeadline:   renewDeadline,
			RetryPeriod:     retryPeriod,
			ReleaseOnCancel: true,
			Name:            flags.Lease,
			Coordinated:     true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { work.Start() },
				OnStoppedLeading: work.Stop,
			},
		})
		peer.Check(err)
		elector.Run(ctx)
	}
}
