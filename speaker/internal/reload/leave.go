package reload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/departure"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/vty"
)

// LeaveOptions say how BGP sessions end before FRR does.
type LeaveOptions struct {
	// RunDir holds the daemons' vty sockets, /var/run/frr.
	RunDir string
	// Wait is how long the routes of sessions that are closed are the last to be chosen before; with 0 they are closed at once.
	Wait time.Duration
	// CloseAll closes the sessions on which graceful restart was negotiated, too.
	CloseAll bool
	// Log receives one line per act.
	Log *slog.Logger
}

const (
	// leaveLook is how often Leave looks whether what it did still stands.
	leaveLook = 500 * time.Millisecond
	// closePatience is how long sessions may take to close. bgpd sends the NOTIFICATION while it carries out the command.
	closePatience = 2 * time.Second
	// answerPatience is how long bgpd may take to answer. It takes seconds over a changed policy of thousands of routes; one that hangs must
	// not keep the pod from ending.
	answerPatience = 5 * time.Second
)

// Leave ends the BGP sessions of a running FRR in the order that package departure decides on, and returns when FRR may be stopped. It talks to
// bgpd alone: neither the speaker nor the reloader's Engine need be there. Calling it again does what is left to do. An error says what did not
// come about; sessions that it could not make yield are closed all the same.
func Leave(ctx context.Context, o LeaveOptions) error {
	d := newDaemons(o.RunDir)
	defer d.close()
	running, sessions, err := lookAtBGP(ctx, d)
	if err != nil {
		return err
	}
	orders := departure.Decide(running, sessions, o.CloseAll)
	o.Log.Info("FRR is about to end", "event", "leaving", "closed", names(orders.Closed), "kept", names(orders.Kept), "wait", o.Wait.String())
	if len(orders.Closed) == 0 {
		return nil
	}
	var unyielding error
	if o.Wait > 0 && len(orders.Yield) > 0 {
		if unyielding = yield(ctx, d, &orders, o); ctx.Err() != nil {
			return unyielding
		}
	}
	return errors.Join(unyielding, closeSessions(ctx, d, &orders, o))
}

// yield makes the routes the last to be chosen for as long as is to be waited. The Engine may be about to end as well, in the middle of an
// Apply that takes it back: so it is looked at again and again.
func yield(ctx context.Context, d *daemons, orders *departure.Orders, o LeaveOptions) error {
	over := time.NewTimer(o.Wait)
	defer over.Stop()
	look := time.NewTicker(leaveLook)
	defer look.Stop()
	for {
		running, _, err := lookAtBGP(ctx, d)
		if err != nil {
			return err
		}
		if !orders.Yields(running) {
			if _, err := d.execute(ctx, orders.Yield); err != nil {
				return fmt.Errorf("make the routes the last to be chosen: %w", err)
			}
			o.Log.Info("routes are the last to be chosen", "event", "yielding", "wait", o.Wait.String())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for routers to choose other routes: %w", context.Cause(ctx))
		case <-over.C:
			return nil
		case <-look.C:
		}
	}
}

// closeSessions closes sessions and waits until bgpd says that they are. What bgpd refuses to close ends with it.
func closeSessions(ctx context.Context, d *daemons, orders *departure.Orders, o LeaveOptions) error {
	var failed []error
	for i := range orders.Close {
		_, err := d.execute(ctx, orders.Close[i:i+1])
		if refused, ok := errors.AsType[*vty.Refused](err); ok {
			failed = append(failed, refused)
		} else if err != nil {
			return fmt.Errorf("close the sessions: %w", err)
		}
	}
	limited, cancel := context.WithTimeout(ctx, closePatience)
	defer cancel()
	for {
		_, sessions, err := lookAtBGP(limited, d)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		left := establishedOf(sessions, orders.Closed)
		if len(left) == 0 || len(failed) > 0 {
			o.Log.Info("sessions are closed", "event", "left", "open", names(left))
			return errors.Join(failed...)
		}
		select {
		case <-limited.Done():
			return fmt.Errorf("wait for sessions to close: %v are still open: %w", names(left), context.Cause(limited))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// lookAtBGP returns what bgpd runs and its sessions.
func lookAtBGP(ctx context.Context, d *daemons) (running string, sessions []frrstate.Session, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerPatience, fmt.Errorf("no answer within %v", answerPatience))
	defer cancel()
	outs, err := d.run(ctx, "bgpd", [][]string{{"show running-config"}, {frrstate.CommandSessions}})
	if err != nil {
		return "", nil, fmt.Errorf("look at bgpd: %w", err)
	}
	sessions, err = frrstate.ParseSessions([]byte(outs[1]))
	return outs[0], sessions, err
}

// establishedOf are those of the keys whose sessions are established.
func establishedOf(sessions []frrstate.Session, keys []frrstate.Key) []frrstate.Key {
	up := map[frrstate.Key]bool{}
	for i := range sessions {
		up[sessions[i].Key] = sessions[i].Established()
	}
	var left []frrstate.Key
	for _, k := range keys {
		if up[k] {
			left = append(left, k)
		}
	}
	return left
}

// names are how logs name sessions.
func names(keys []frrstate.Key) []string {
	all := []string{}
	for _, k := range keys {
		name := k.Peer
		if k.VRF != "" {
			name += " (VRF " + k.VRF + ")"
		}
		all = append(all, name)
	}
	return all
}
