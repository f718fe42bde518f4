package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// ours are the labels of the AddressProbes that this program makes.
func ours() map[string]string {
	return map[string]string{v1beta1.LabelComponentType: v1beta1.ComponentController}
}

// probe asks the speaker of a node about some addresses, and passes the answers on; what the node can't ask goes to the next one.
func (p *Prober) probe(ctx context.Context, node string, questions []question) {
	results, err := p.ask(ctx, node, questions)
	if ctx.Err() != nil {
		return
	}
	var doubtful []question
	defer func() { p.later(ctx, doubtful) }()
	for _, q := range questions {
		result, ok := results[q.address.String()]
		a := Answer{Address: q.address, Outcome: Unknown, Node: node, Interface: result.Interface, HardwareAddress: result.HardwareAddress, Message: result.Message}
		switch {
		case !ok && err != nil:
			a.Message = err.Error()
		case !ok:
			a.Message = fmt.Sprintf("the speaker of node %s says nothing of the address", node)
		case result.State == v1beta1.AddressProbeFree:
			a.Outcome = Free
		case result.State == v1beta1.AddressProbeInUse && !q.found:
			q.found = true
			doubtful = append(doubtful, q)
			continue
		case result.State == v1beta1.AddressProbeInUse:
			a.Outcome = InUse
		case result.State == v1beta1.AddressProbeNotOnLink:
			p.put(question{address: q.address, asked: q.asked + 1})
			continue
		default:
			a.Message = fmt.Sprintf("the speaker of node %s could not ask: %s", node, result.Message)
		}
		p.Answer(ctx, a)
	}
}

// later asks questions again after doubt.
func (p *Prober) later(ctx context.Context, questions []question) {
	if len(questions) == 0 {
		return
	}
	timer := time.NewTimer(doubt)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
		p.put(questions...)
	}
}

// ask makes an AddressProbe, waits until it is answered, and deletes it. Where it returns an error, results are those that there are anyway.
func (p *Prober) ask(ctx context.Context, node string, questions []question) (map[string]v1beta1.AddressProbeResult, error) {
	probe := &v1beta1.AddressProbe{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-", Namespace: p.Namespace, Labels: ours()},
		Spec:       v1beta1.AddressProbeSpec{Node: node},
	}
	for _, q := range questions {
		probe.Spec.Addresses = append(probe.Spec.Addresses, q.address.String())
	}
	limited, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := p.Client.Create(limited, probe); err != nil {
		return nil, fmt.Errorf("creating an AddressProbe for node %s: %w", node, err)
	}
	defer p.remove(ctx, probe)
	return p.await(ctx, probe)
}

// await returns the answer to a probe once it is complete.
func (p *Prober) await(ctx context.Context, probe *v1beta1.AddressProbe) (map[string]v1beta1.AddressProbeResult, error) {
	told := make(chan struct{}, 1)
	p.mu.Lock()
	p.waiting[probe.Name] = told
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.waiting, probe.Name)
		p.mu.Unlock()
	}()
	timer := time.NewTimer(p.Patience)
	defer timer.Stop()
	for {
		seen := &v1beta1.AddressProbe{}
		err := p.Cache.Get(ctx, client.ObjectKeyFromObject(probe), seen)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading AddressProbe %s: %w", probe.Name, err)
		}
		results := map[string]v1beta1.AddressProbeResult{}
		for _, r := range seen.Status.Results {
			results[r.Address] = r
		}
		if err == nil && (seen.Status.CompletedAt != nil || len(results) == len(probe.Spec.Addresses)) {
			return results, nil
		}
		select {
		case <-ctx.Done():
			return results, ctx.Err()
		case <-timer.C:
			return results, fmt.Errorf("the speaker of node %s did not answer within %s", probe.Spec.Node, p.Patience)
		case <-told:
		}
	}
}

// remove deletes an AddressProbe, also when this program is being stopped.
func (p *Prober) remove(ctx context.Context, probe *v1beta1.AddressProbe) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	if err := p.Client.Delete(ctx, probe); client.IgnoreNotFound(err) != nil {
		p.Log.Warn("an AddressProbe is left behind; the next controller to start deletes it", "addressProbe", probe.Name, "error", err)
	}
}

// clean deletes what earlier controllers left behind: whoever asked is gone.
func (p *Prober) clean(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var left v1beta1.AddressProbeList
	err := p.Live.List(limited, &left, client.InNamespace(p.Namespace), client.MatchingLabels(ours()))
	for i := range left.Items {
		err = errors.Join(err, client.IgnoreNotFound(p.Client.Delete(limited, &left.Items[i])))
	}
	if err != nil && ctx.Err() == nil {
		p.Log.Warn("AddressProbes of earlier controllers not deleted", "error", err)
	}
}
