package sessions

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

const (
	// stateUnknown is what bgpStatus says while FRR does not answer.
	stateUnknown = "Unknown"
	// bfdNone is what bfdStatus says where no BFD is wanted.
	bfdNone = "N/A"
	// maxText bounds texts of the status, in bytes.
	maxText = 1024
)

// status says what the view shows. before is what was said last: what did not change is left as it was to the second.
func (v *view) status(node string, before *v1beta1.BGPSessionStateStatus) v1beta1.BGPSessionStateStatus {
	s := v1beta1.BGPSessionStateStatus{
		Node: node, Peer: v.key.Peer, VRF: v.key.VRF, BGPPeer: v.neighbor.Name,
		BGPStatus: stateUnknown, BFDStatus: bfdNone,
		LastResetReason: before.LastResetReason, LastResetAt: before.LastResetAt, LastNotification: before.LastNotification,
	}
	if d := v.diagnose(); d.Reason != "" {
		s.Diagnosis = &v1beta1.BGPSessionDiagnosis{Reason: v1beta1.BGPSessionReason(d.Reason), Message: cut(d.Message)}
	}
	if v.neighbor.BFDProfile != "" {
		s.BFDStatus = "down"
	}
	if v.failure != "" {
		return s
	}
	if v.session == nil {
		s.BGPStatus = "Idle"
		return s
	}
	s.BGPStatus = v.session.State
	v.reset(&s)
	if v.session.Established() {
		s.EstablishedAt = moment(before.EstablishedAt, v.session.UpSince)
		s.Timers = &v1beta1.BGPTimers{
			HoldTimeSeconds: int32(v.session.HoldTime / time.Second), KeepaliveSeconds: int32(v.session.Keepalive / time.Second),
		}
		s.Prefixes = v.prefixes()
	}
	if v.bfd != nil {
		s.BFDStatus = v.bfd.Status
		if v.bfd.Up() {
			s.BFDIntervals = intervals(v.bfd)
		}
	}
	return s
}

// reset fills in why the session last went down. FRR counts the waiting before a first attempt as a reset; those are no news.
func (v *view) reset(s *v1beta1.BGPSessionStateStatus) {
	if v.session.LastReset == "" {
		return
	}
	at := moment(s.LastResetAt, v.at.Add(-v.session.SinceReset))
	if at == s.LastResetAt && s.LastResetReason == v.session.LastReset {
		return
	}
	s.LastResetReason, s.LastResetAt = v.session.LastReset, at
	switch n := cmp.Or(v.trace.Cause.Notification, v.session.Notification); {
	case n != nil:
		s.LastNotification = &v1beta1.BGPNotification{
			Direction: v1beta1.NotificationReceived, Code: int32(n.Code), Subcode: int32(n.Subcode), Text: n.Words(),
		}
		if n.Sent {
			s.LastNotification.Direction = v1beta1.NotificationSent
		}
	case v.session.Established():
	default:
		s.LastNotification = nil
	}
}

// prefixes counts those of the families that the session carries.
func (v *view) prefixes() []v1beta1.BGPPrefixCounts {
	var counts []v1beta1.BGPPrefixCounts
	for _, f := range v.session.Families {
		if !f.Negotiated() {
			continue
		}
		c := v1beta1.BGPPrefixCounts{AddressFamily: f.Name, Sent: f.Sent, Accepted: f.Accepted}
		if v.session.Filtered == 0 {
			c.Received = new(f.Accepted)
		}
		counts = append(counts, c)
	}
	return counts
}

func intervals(b *frrstate.BFDSession) *v1beta1.BFDIntervals {
	return &v1beta1.BFDIntervals{
		TransmitMilliseconds: b.TransmitInterval().Milliseconds(), ReceiveMilliseconds: b.ReceiveInterval().Milliseconds(),
		EchoTransmitMilliseconds: b.EchoTransmit.Milliseconds(), DetectMultiplier: b.RemoteMultiplier,
	}
}

// moment returns when something was, as before where that may well be the same.
func moment(before *metav1.Time, at time.Time) *metav1.Time {
	if at.IsZero() {
		return nil
	}
	if before != nil && before.Sub(at).Abs() <= frrstate.ClockSlack {
		return before
	}
	return &metav1.Time{Time: at.Truncate(time.Second)}
}

// name is the name of the object of a session: always the same, and telling.
func name(node string, key frrstate.Key) string {
	sum := sha256.Sum256([]byte(node + "\x00" + key.VRF + "\x00" + key.Peer))
	telling := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, strings.ToLower(node+"-"+key.Peer))
	// Parts between dots begin and end with a letter or digit; those of a node's name and of an address do, those of a link's may not.
	telling = strings.Trim(strings.ReplaceAll(telling, "..", "-"), ".-")
	const longest = 200
	text := strings.TrimRight(telling[:min(len(telling), longest)], ".-") + "-" + hex.EncodeToString(sum[:4])
	if len(validation.IsDNS1123Subdomain(text)) > 0 {
		return "session-" + hex.EncodeToString(sum[:])
	}
	return text
}

// labels are those of the object of a session.
func labels(node string, key frrstate.Key) map[string]string {
	return map[string]string{v1beta1.LabelNode: label(node), v1beta1.LabelPeer: label(key.Peer), v1beta1.LabelVRF: label(key.VRFLabel())}
}

// label is the value that stands for a text: the text itself where it may be one, with hyphens for the colons of an IPv6 address; a hash of it
// otherwise, as of node names in other objects.
func label(text string) string {
	if value := strings.ReplaceAll(text, ":", "-"); len(validation.IsValidLabelValue(value)) == 0 {
		return value
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// cut keeps a text at a length that an object may have.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "")
}

// says tells whether two statuses differ in what somebody waits for: whether the session is up, with which BFD state, and what is wrong.
func says(a, b *v1beta1.BGPSessionStateStatus) bool {
	reason := func(s *v1beta1.BGPSessionStateStatus) v1beta1.BGPSessionReason {
		if s.Diagnosis == nil {
			return ""
		}
		return s.Diagnosis.Reason
	}
	up := func(s *v1beta1.BGPSessionStateStatus) bool { return s.BGPStatus == "Established" }
	return up(a) == up(b) && a.BFDStatus == b.BFDStatus && reason(a) == reason(b) && a.EstablishedAt.Equal(b.EstablishedAt) &&
		slices.EqualFunc(a.Prefixes, b.Prefixes, func(x, y v1beta1.BGPPrefixCounts) bool { return x.AddressFamily == y.AddressFamily })
}
