package manifests

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// Limits of spec.bgpDrain.waitSeconds.
const leastDrainWait, mostDrainWait = 1, 3600

// drainArgs are the speaker's flags for giving up BGP routes in order. What is not set is not given: the speaker has its own defaults.
func drainArgs(spec v1beta1.MetalLBSpec) []string {
	drain := spec.BGPDrain
	if drain == nil {
		return nil
	}
	var args []string
	if len(drain.Nodes) > 0 {
		args = append(args, "--bgp-drain-nodes="+setFlag(drain.Nodes))
	}
	if len(drain.Taints) > 0 {
		args = append(args, "--bgp-drain-taints="+setFlag(drain.Taints))
	}
	if drain.WaitSeconds != nil {
		args = append(args, "--bgp-drain-wait="+(time.Duration(*drain.WaitSeconds)*time.Second).String())
	}
	if keep := drain.KeepLastAnnouncer; keep != nil {
		args = append(args, "--bgp-drain-keep-last="+strconv.FormatBool(*keep))
	}
	return args
}

func validateDrain(spec v1beta1.MetalLBSpec, path *field.Path) field.ErrorList {
	drain := spec.BGPDrain
	if drain == nil {
		return nil
	}
	var errs field.ErrorList
	for i, state := range drain.Nodes {
		errs = append(errs, validateOneOf(string(state), path.Child("nodes").Index(i), impairments())...)
	}
	for i, key := range drain.Taints {
		if wrong := validation.IsQualifiedName(key); len(wrong) > 0 {
			errs = append(errs, field.Invalid(path.Child("taints").Index(i), key, "must be the key of a taint: "+strings.Join(wrong, "; ")))
		}
	}
	if wait := drain.WaitSeconds; wait != nil && (*wait < leastDrainWait || *wait > mostDrainWait) {
		errs = append(errs, field.Invalid(path.Child("waitSeconds"), *wait, fmt.Sprintf("must be from %d to %d", leastDrainWait, mostDrainWait)))
	}
	return errs
}
