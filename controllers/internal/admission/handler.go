// Package admission judges edits before they are stored. It has no rules of its own: an edit is as good as what it makes intent.Build find
// wrong that it did not find wrong before, and as bad as the live addresses that ipam would then find to be in no pool. What reconcilers
// would report afterwards is refused here beforehand, in the same words.
//
// It helps authors, and nothing depends on it: the API server goes on without it when it can't be asked, and so does the Handler itself
// when it can't find out.
package admission

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// Limit is how long a judgement may take. The API server waits three seconds and then goes on without one and without a word.
const Limit = 2500 * time.Millisecond

// Options are all that a Handler needs.
type Options struct {
	// Namespace is the one that configuration belongs in.
	Namespace string
	// Scheme has every kind that is judged.
	Scheme *runtime.Scheme
	// Live reads from the API server, Nodes from a cache of Nodes with their labels.
	Live, Nodes client.Reader
	// Limit is how long a judgement may take.
	Limit time.Duration
}

// Handler answers the API server's questions about edits of configuration objects, of MetalLB objects, and of Secrets.
type Handler struct {
	Options
	decoder admission.Decoder
}

// New returns a Handler.
func New(o Options) *Handler {
	return &Handler{Options: o, decoder: admission.NewDecoder(o.Scheme)}
}

// Handle implements admission.Handler.
func (h *Handler) Handle(ctx context.Context, req admission.Request) admission.Response {
	ctx, cancel := context.WithTimeout(ctx, h.Limit)
	defer cancel()
	logger := log.FromContext(ctx)
	refusal, warnings, err := h.verdict(ctx, &req)
	if err != nil {
		// The reconcilers look at everything again; a failure of ours must not keep anybody from mending something.
		logger.Error(err, "an edit was admitted unjudged", "event", "admissionFailed", "operation", string(req.Operation))
		return admission.Allowed("").WithWarnings(fmt.Sprintf("admitted without being checked against the other objects: %v", err))
	}
	if refusal != "" {
		logger.Info("an edit was refused", "event", "admissionRefused", "operation", string(req.Operation), "because", refusal)
		return admission.Denied(refusal).WithWarnings(warnings...)
	}
	return admission.Allowed("").WithWarnings(warnings...)
}

// verdict returns why the request is refused, "" when it is not, and what its author is told in any case.
func (h *Handler) verdict(ctx context.Context, req *admission.Request) (refusal string, warnings []string, err error) {
	c, err := decode(h.decoder, h.Scheme, req)
	if err != nil {
		return "", nil, err
	}
	if !c.object().GetDeletionTimestamp().IsZero() || !c.matters() {
		return "", nil, nil
	}
	if now, ok := c.now.(*v1beta1.MetalLB); ok {
		old, _ := c.old.(*v1beta1.MetalLB)
		refusal, warnings = judgeMetalLB(old, now, h.Namespace)
	} else if refusal, warnings, err = h.judge(ctx, c); err != nil {
		return "", nil, err
	}
	if refusal == "" {
		return "", warnings, nil
	}
	ending, err := h.ending(ctx, c.object().GetNamespace())
	if err != nil {
		return "", nil, errors.Join(errors.New(refusal), err)
	}
	if ending {
		return "", nil, nil
	}
	return refusal, warnings, nil
}

// judge is verdict for everything that belongs to the configuration.
func (h *Handler) judge(ctx context.Context, c *change) (refusal string, warnings []string, err error) {
	objects, err := h.gather(ctx)
	if err != nil {
		return "", nil, err
	}
	before, after := c.in(objects)
	if err := h.addSecrets(ctx, c, &before, &after); err != nil {
		return "", nil, err
	}
	if err := h.addListening(ctx, &before, &after); err != nil {
		return "", nil, err
	}
	was, problems := intent.Build(kubeview.Raw(before), intent.Snapshot{})
	will, newProblems := intent.Build(kubeview.Raw(after), intent.Snapshot{})
	j := judge(problems, newProblems, c.ref())
	var lost []loss
	if mayLose(&was, &will) {
		if lost, err = h.losses(ctx, newAccounts(&was, &will), selectsNamespaces(&was) || selectsNamespaces(&will)); err != nil {
			return "", nil, err
		}
	}
	refusal = c.refusal(j, lost)
	if refusal == "" || len(j.own) == 0 && c.permitted() {
		return "", c.warnings(j, lost), nil
	}
	return refusal, nil, nil
}

// addSecrets puts into both configurations the Secrets that their peers name, but for the one that is changed, which is there already.
func (h *Handler) addSecrets(ctx context.Context, c *change, before, after *kubeview.Objects) error {
	named := *before
	named.Peers = append(append(named.Peers[:0:0], before.Peers...), after.Peers...)
	secrets, err := h.secrets(ctx, named)
	if err != nil {
		return err
	}
	for i := range secrets {
		if c.kind == secretKind && secrets[i].Name == c.object().GetName() && secrets[i].Namespace == c.object().GetNamespace() {
			continue
		}
		before.Secrets, after.Secrets = append(before.Secrets, secrets[i]), append(after.Secrets, secrets[i])
	}
	return nil
}
