// A candidate of client-go's leaderelection, with ReleaseOnCancel and, unless told otherwise, the defaults of Kubernetes'
// components. It says on stderr whom it sees lead.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"coordinated-election.io/bench/peers/peer"
)

// The defaults of k8s.io/component-base/config/v1alpha1.
var (
	leaseDuration = flag.Duration("lease-duration", 15*time.Second, "how long the others wait")
	renewDeadline = flag.Duration("renew-deadline", 10*time.Second, "how long this one tries to renew")
	retryPeriod   = flag.Duration("retry-period", 2*time.Second, "how often it tries")
	ledger        = flag.String("ledger", "", "the file that the work writes into, for as long as it runs")
)

func main() {
	flags := peer.Parse()
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, flags.Namespace, flags.Lease,
		resourcelock.ResourceLockConfig{Identity: flags.Identity}, flags.Config(), *renewDeadline)
	peer.Check(err)
	work := peer.Work{Ledger: *ledger, Identity: flags.Identity}
	ctx := work.UntilTerminated()
	peer.Say("started")
	// A program that lost its lease ends and is started again; here it stands again at once, which is the best case.
	for ctx.Err() == nil {
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock:            lock,
			LeaseDuration:   *leaseDuration,
			RenewDeadline:   *renewDeadline,
			RetryPeriod:     *retryPeriod,
			ReleaseOnCancel: true,
			Name:            flags.Lease,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { work.Start() },
				OnStoppedLeading: work.Stop,
				OnNewLeader: func(identity string) {
					fmt.Fprintf(os.Stderr, "sees %q lead\n", identity)
				},
			},
		})
		peer.Check(err)
		elector.Run(ctx)
	}
}
