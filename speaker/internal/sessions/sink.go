package sessions

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// component is what events say they come from.
const component = "metallb-speaker"

func source(nodeName string) corev1.EventSource {
	return corev1.EventSource{Component: component, Host: nodeName}
}

// sink writes the events of a recorder.
type sink struct{ client client.Client }

// eventLimit bounds the writing of one event.
const eventLimit = 10 * time.Second

// A recorder gives no context.
func (s *sink) do(write func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), eventLimit)
	defer cancel()
	return write(ctx)
}

// Create implements record.EventSink.
func (s *sink) Create(event *corev1.Event) (*corev1.Event, error) {
	return event, s.do(func(ctx context.Context) error { return s.client.Create(ctx, event) })
}

// Update implements record.EventSink.
func (s *sink) Update(event *corev1.Event) (*corev1.Event, error) {
	return event, s.do(func(ctx context.Context) error { return s.client.Update(ctx, event) })
}

// Patch implements record.EventSink.
func (s *sink) Patch(event *corev1.Event, data []byte) (*corev1.Event, error) {
	return event, s.do(func(ctx context.Context) error {
		return s.client.Patch(ctx, event, client.RawPatch(types.StrategicMergePatchType, data))
	})
}
