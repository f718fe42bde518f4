package manifests

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

const (
	// terminationSeconds is how long the speaker's pod may take to end, besides the wait before BGP sessions are closed.
	terminationSeconds = 10
	// defaultShutdownWait is spec.bgpShutdown.waitSeconds where it is unset, and mostShutdownWait its limit.
	defaultShutdownWait, mostShutdownWait = 5, 600
)

// shutdownWait is the wait, in seconds, before BGP sessions are closed.
func shutdownWait(spec v1beta1.MetalLBSpec) int32 {
	if s := spec.BGPShutdown; s != nil && s.WaitSeconds != nil {
		return *s.WaitSeconds
	}
	return defaultShutdownWait
}

// leaveCommand ends BGP sessions in the FRR container before it is stopped.
func leaveCommand(spec v1beta1.MetalLBSpec) []string {
	command := []string{reloaderProgram, "leave", "--wait=" + (time.Duration(shutdownWait(spec)) * time.Second).String()}
	if s := spec.BGPShutdown; s != nil && s.Mode == v1beta1.BGPShutdownWithdraw {
		command = append(command, "--close-all")
	}
	return command
}

func validateShutdown(spec v1beta1.MetalLBSpec, path *field.Path) field.ErrorList {
	shutdown := spec.BGPShutdown
	if shutdown == nil {
		return nil
	}
	errs := validateOneOf(string(shutdown.Mode), path.Child("mode"), []string{string(v1beta1.BGPShutdownPerPeer), string(v1beta1.BGPShutdownWithdraw)})
	if wait := shutdown.WaitSeconds; wait != nil && (*wait < 0 || *wait > mostShutdownWait) {
		errs = append(errs, field.Invalid(path.Child("waitSeconds"), *wait, fmt.Sprintf("must be from 0 to %d", mostShutdownWait)))
	}
	return errs
}
