package manifests

import corev1 "k8s.io/api/core/v1"

// SpeakerCapabilities are those of the speaker: raw sockets for ARP and NDP. It runs as root because FRR's reloader serves
// root alone.
func SpeakerCapabilities() []corev1.Capability { return []corev1.Capability{"NET_RAW"} }

// FRRCapabilities are those of the container with FRR's daemons. zebra, bgpd and bfdd give up all but NET_ADMIN, NET_RAW,
// NET_BIND_SERVICE and SYS_ADMIN, become the user frr, and end at once where one of these is missing (privs_init in
// lib/privs.c): SYS_ADMIN is among them because FRR can move between network namespaces. watchfrr, vtysh and the start-up
// scripts stay root and need the others: to hand sockets and crash logs to the user frr (CHOWN), to become that user
// (SETUID, SETGID), to open the sockets that belong to it (DAC_OVERRIDE) and to stop a daemon that hangs (KILL).
func FRRCapabilities() []corev1.Capability {
	return []corev1.Capability{
		"CHOWN", "DAC_OVERRIDE", "KILL", "NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW", "SETGID", "SETUID", "SYS_ADMIN",
	}
}

// ReloaderCapabilities are those of the reloader: DAC_OVERRIDE opens the daemons' sockets and frr.conf, which belong to the
// user frr, and CHOWN gives a new frr.conf to that user.
func ReloaderCapabilities() []corev1.Capability { return []corev1.Capability{"CHOWN", "DAC_OVERRIDE"} }

// PrepareCapabilities are those of the container that writes FRR's first files: CHOWN gives them to the user frr. Their folders are volumes, in which
// everybody in the pod may write.
func PrepareCapabilities() []corev1.Capability { return []corev1.Capability{"CHOWN"} }
