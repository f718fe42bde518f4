package operator

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// patience is how long a pod may take to start, or be not ready, before that counts as a fault.
const patience = 2 * time.Minute

// podState is what one pod means for its component.
type podState int

const (
	podReady podState = iota
	// podAway is on a node that cannot be reached; what it does is unknown.
	podAway
	// podStarting is not ready but may well become so.
	podStarting
	// podFailing does not get ready by itself.
	podFailing
)

// diagnosis is the state of a pod, why, and for podStarting when that becomes podFailing.
type diagnosis struct {
	state podState
	why   string
	until time.Time
}

// diagnose says how a pod fares at a time.
func diagnose(pod *corev1.Pod, unreachable map[string]bool, now time.Time) diagnosis {
	if pod.Spec.NodeName != "" && unreachable[pod.Spec.NodeName] {
		return diagnosis{state: podAway, why: "not reachable"}
	}
	if !pod.DeletionTimestamp.IsZero() {
		return impatient(diagnosis{state: podStarting, why: "ending", until: pod.DeletionTimestamp.Add(patience)}, now)
	}
	since := pod.CreationTimestamp.Time
	for _, c := range pod.Status.Conditions {
		switch {
		case c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue:
			return diagnosis{state: podReady}
		case c.Type == corev1.PodReady && c.LastTransitionTime.After(since):
			since = c.LastTransitionTime.Time
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable:
			return diagnosis{state: podFailing, why: "cannot be placed: " + strings.TrimSuffix(c.Message, ".") + portsOf(pod, c.Message)}
		}
	}
	if why := stuck(pod); why != "" {
		return diagnosis{state: podFailing, why: why}
	}
	return impatient(diagnosis{state: podStarting, why: waiting(pod), until: since.Add(patience)}, now)
}

// portsOf names the ports of its node that a pod wants, where the scheduler's message is that one of them is taken; which one it does not say.
func portsOf(pod *corev1.Pod, message string) string {
	if !strings.Contains(message, "free ports") {
		return ""
	}
	var ports []string
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				ports = append(ports, fmt.Sprintf("%d/%s", p.HostPort, p.Protocol))
			}
		}
	}
	return "; another pod there has one of the ports " + strings.Join(ports, ", ")
}

// meantFor is the node that a DaemonSet made the pod for, also before it is placed there, "" for other pods.
func meantFor(pod *corev1.Pod) string {
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
			for _, f := range term.MatchFields {
				if f.Key == metav1.ObjectNameField && f.Operator == corev1.NodeSelectorOpIn && len(f.Values) == 1 {
					return f.Values[0]
				}
			}
		}
	}
	return ""
}

// impatient makes a start that has taken too long a fault. The message does not hold the time it took, which would make it
// another one at every look.
func impatient(d diagnosis, now time.Time) diagnosis {
	if !now.Before(d.until) {
		d.state, d.why = podFailing, fmt.Sprintf("not ready for more than %s: %s", patience, d.why)
	}
	return d
}

// statuses returns those of all containers, in the order in which they start.
func statuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return append(append([]corev1.ContainerStatus(nil), pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...)
}

// stuck returns why a pod cannot start by itself, "" where it may. The reasons are those of the kubelet: an image that cannot
// be had, a container that keeps ending.
func stuck(pod *corev1.Pod) string {
	for _, c := range statuses(pod) {
		w := c.State.Waiting
		if w == nil {
			continue
		}
		switch w.Reason {
		case "CrashLoopBackOff":
			why := fmt.Sprintf("container %s keeps ending", c.Name)
			if last := c.LastTerminationState.Terminated; last != nil {
				why += fmt.Sprintf(", with exit code %d", last.ExitCode)
				if last.Reason != "" && last.Reason != "Error" {
					why += " (" + last.Reason + ")"
				}
			}
			return why + "; see its log"
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
			return fmt.Sprintf("container %s: image %s cannot be had", c.Name, wantedImage(pod, c))
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return fmt.Sprintf("container %s: %s: %s", c.Name, w.Reason, w.Message)
		}
	}
	return ""
}

// wantedImage is what a container is to run. While that cannot be had, its status names what it ran before.
func wantedImage(pod *corev1.Pod, status corev1.ContainerStatus) string {
	for _, c := range append(append([]corev1.Container(nil), pod.Spec.InitContainers...), pod.Spec.Containers...) {
		if c.Name == status.Name {
			return c.Image
		}
	}
	return status.Image
}

// waiting returns what a pod that is not ready waits for.
func waiting(pod *corev1.Pod) string {
	for _, c := range statuses(pod) {
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "PodInitializing":
			return fmt.Sprintf("container %s waits: %s", c.Name, c.State.Waiting.Reason)
		case c.State.Running != nil && !c.Ready:
			return fmt.Sprintf("container %s is not ready, its log says why", c.Name)
		case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
			return fmt.Sprintf("container %s ended with exit code %d", c.Name, c.State.Terminated.ExitCode)
		}
	}
	if pod.Spec.NodeName == "" {
		return "waits for a node"
	}
	return "starts"
}
