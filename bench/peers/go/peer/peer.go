// Package peer is what the peers written in Go have in common: what they are told, and what they say.
//
// How they elect is in their own files.
package peer

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Flags is what the benchmark tells a peer.
type Flags struct {
	Kubeconfig       string
	Namespace        string
	Lease            string
	Identity         string
	BinaryVersion    string
	EmulationVersion string
}

// Parse reads the command line.
func Parse() Flags {
	var flags Flags
	flag.StringVar(&flags.Kubeconfig, "kubeconfig", "", "the kubeconfig file")
	flag.StringVar(&flags.Namespace, "namespace", "default", "the namespace of the lease")
	flag.StringVar(&flags.Lease, "lease", "", "the name of the lease")
	flag.StringVar(&flags.Identity, "identity", "", "who this is")
	flag.StringVar(&flags.BinaryVersion, "binary-version", "", "what this is")
	flag.StringVar(&flags.EmulationVersion, "emulation-version", "", "what this behaves as")
	flag.Parse()
	return flags
}

// Config loads the kubeconfig file.
func (f Flags) Config() *rest.Config {
	config, err := clientcmd.BuildConfigFromFlags("", f.Kubeconfig)
	Check(err)
	return config
}

// Check ends the program when something failed that it cannot do without.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// Work stands for what a leader does: it says when that begins and when it has stopped, and writes into a ledger meanwhile
// if there is one.
type Work struct {
	Ledger   string
	Identity string

	mutex   sync.Mutex
	running bool
	ended   bool
	stop    chan struct{}
	stopped sync.WaitGroup
}

// Start begins the work, unless the process has been asked to end.
func (w *Work) Start() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if !w.ended && !w.running {
		w.running = true
		Say("leads")
		if w.Ledger != "" {
			w.stop = make(chan struct{})
			w.stopped.Add(1)
			go w.write(w.stop)
		}
	}
}

// Stop ends the work.
func (w *Work) Stop() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.running {
		w.running = false
		if w.Ledger != "" {
			close(w.stop)
			w.stopped.Wait()
		}
		Say("stopped")
	}
}

// write appends who works, and when, until it is told to stop.
func (w *Work) write(stop <-chan struct{}) {
	defer w.stopped.Done()
	file, err := os.OpenFile(w.Ledger, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	Check(err)
	defer file.Close()
	for {
		_, err := fmt.Fprintf(file, "%s %d\n", w.Identity, boottime())
		Check(err)
		select {
		case <-stop:
			return
		case <-time.After(pace):
		}
	}
}

// pace is how often the work writes.
const pace = 5 * time.Millisecond

// UntilTerminated returns a context that is cancelled by SIGTERM, after the work has stopped: client-go wants all guarded
// code to have ended before it gives the lease back.
func (w *Work) UntilTerminated() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		w.Stop()
		w.mutex.Lock()
		w.ended = true
		w.mutex.Unlock()
		cancel()
	}()
	return ctx
}

// Say prints one event, stamped with the clock that all processes of a machine share.
func Say(event string) {
	line, err := json.Marshal(struct {
		Event    string `json:"event"`
		Boottime int64  `json:"boottime_ns"`
	}{event, boottime()})
	Check(err)
	_, err = fmt.Println(string(line))
	Check(err)
}

func boottime() int64 {
	var now unix.Timespec
	Check(unix.ClockGettime(unix.CLOCK_BOOTTIME, &now))
	return now.Nano()
}
