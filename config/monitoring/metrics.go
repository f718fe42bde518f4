package monitoring

// Program is one of the programs that serve metrics.
type Program string

// The programs.
const (
	Controller Program = "controller"
	Speaker    Program = "speaker"
	Operator   Program = "operator"
)

// Metric is a metric that one or more programs serve. Tests beside each program compare this with what it serves.
type Metric struct {
	Name string
	// Type is counter, gauge or histogram.
	Type   string
	Labels []string
	// By are the programs that serve it.
	By []Program
	// Says is what the value means, for the documentation.
	Says string
	// Ours is true where MetalLB has no such metric, or does not set it.
	Ours bool
}

// Metrics returns all metrics of the programs' own. Beside these each has those of Go's runtime, of the process and of controller-runtime.
func Metrics() []Metric {
	pool, ip, peer := []string{"pool"}, []string{"ip"}, []string{"peer", "vrf"}
	controller, speaker, operator := []Program{Controller}, []Program{Speaker}, []Program{Operator}
	both := []Program{Controller, Speaker}
	const gauge, counter, histogram = "gauge", "counter", "histogram"
	return []Metric{
		{Name: "metallb_k8s_client_updates_total", Type: counter, By: both, Says: "changes of Kubernetes objects that were taken in"},
		{Name: "metallb_k8s_client_update_errors_total", Type: counter, By: both, Says: "controller: writes that failed; speaker: passes after which FRR did not run what is wanted"},
		{Name: "metallb_k8s_client_config_loaded_bool", Type: gauge, By: both, Says: "1 once a configuration has been in force"},
		{Name: "metallb_k8s_client_config_stale_bool", Type: gauge, By: both, Says: "1 while part of the configuration is not in force"},

		{Name: "metallb_allocator_addresses_total", Type: gauge, Labels: pool, By: controller, Says: "addresses of the pool that can be used"},
		{Name: "metallb_allocator_addresses_in_use_total", Type: gauge, Labels: pool, By: controller, Says: "of these, addresses that Services have"},
		{Name: "metallb_allocator_ipv4_addresses_total", Type: gauge, Labels: pool, By: controller, Says: "the same, IPv4"},
		{Name: "metallb_allocator_ipv4_addresses_in_use_total", Type: gauge, Labels: pool, By: controller, Says: "the same, IPv4"},
		{Name: "metallb_allocator_ipv6_addresses_total", Type: gauge, Labels: pool, By: controller, Says: "the same, IPv6"},
		{Name: "metallb_allocator_ipv6_addresses_in_use_total", Type: gauge, Labels: pool, By: controller, Says: "the same, IPv6"},
		{Name: "metallb_allocator_services_allocated_total", Type: gauge, Labels: pool, By: controller, Ours: true, Says: "Services with an address of the pool (MetalLB has it and never sets it)"},
		{Name: "metallb_allocator_addresses_reserved_total", Type: gauge, Labels: pool, By: controller, Ours: true, Says: "free addresses that only an IPReservation's Services get"},
		{Name: "metallb_allocator_pending_services", Type: gauge, By: controller, Ours: true, Says: "Services that lack an address they ask for"},
		{Name: "metallb_controller_service_unannounced", Type: gauge, Labels: []string{"service", "reason"}, By: controller, Ours: true,
			Says: "1 for each Service with an address that nobody announces; `reason` is that of its condition `metallb.io/Announced`"},

		{Name: "metallb_speaker_announced", Type: gauge, Labels: []string{"service", "protocol", "node", "ip"}, By: speaker, Says: "1 for each address that the node announces"},
		{Name: "metallb_speaker_not_announced", Type: gauge, Labels: []string{"protocol", "reason"}, By: speaker, Ours: true, Says: "addresses of Services that the node does not announce, by reason"},
		{Name: "metallb_layer2_requests_received", Type: counter, Labels: ip, By: speaker, Says: "ARP requests and neighbor solicitations, since the node gained the address"},
		{Name: "metallb_layer2_responses_sent", Type: counter, Labels: ip, By: speaker, Says: "answers to these"},
		{Name: "metallb_layer2_gratuitous_sent", Type: counter, Labels: ip, By: speaker, Says: "frames that announce the address unasked"},
		{Name: "metallb_layer2_answering_since_seconds", Type: gauge, Labels: ip, By: speaker, Ours: true, Says: "when the node began to answer for the address, in seconds since 1970; another value is another time"},
		{Name: "metallb_layer2_conflicts", Type: gauge, Labels: ip, By: speaker, Ours: true, Says: "1 while another host claims the address, 0 when that is over"},
		{Name: "metallb_layer2_dropped_total", Type: counter, Labels: []string{"reason"}, By: speaker, Ours: true, Says: "frames that were not answered or not sent"},
		{Name: "metallb_layer2_members", Type: gauge, By: speaker, Ours: true, Says: "speakers that this one knows to live, itself among them"},
		{Name: "metallb_layer2_quorate", Type: gauge, By: speaker, Ours: true, Says: "0 while the speaker may be the one that is cut off from the others"},

		{Name: "metallb_bgp_session_up", Type: gauge, Labels: peer, By: speaker, Says: "1 while the session is Established"},
		{Name: "metallb_bgp_session_established_total", Type: counter, Labels: peer, By: speaker, Ours: true, Says: "times that the session came up since bgpd started"},
		{Name: "metallb_bgp_announced_prefixes_total", Type: gauge, Labels: peer, By: speaker, Says: "prefixes that the router was sent and that stand"},
		{Name: "metallb_bgp_received_prefixes_total", Type: gauge, Labels: peer, By: speaker, Says: "prefixes that the router sent and that were let in"},
		{Name: "metallb_bgp_opens_sent", Type: counter, Labels: peer, By: speaker, Says: "messages, by kind and direction"},
		{Name: "metallb_bgp_opens_received", Type: counter, Labels: peer, By: speaker, Says: "the same"},
		{Name: "metallb_bgp_notifications_sent", Type: counter, Labels: peer, By: speaker, Says: "the same"},
		{Name: "metallb_bgp_updates_total", Type: counter, Labels: peer, By: speaker, Says: "UPDATE messages sent"},
		{Name: "metallb_bgp_updates_total_received", Type: counter, Labels: peer, By: speaker, Says: "UPDATE messages received"},
		{Name: "metallb_bgp_keepalives_sent", Type: counter, Labels: peer, By: speaker, Says: "the same"},
		{Name: "metallb_bgp_keepalives_received", Type: counter, Labels: peer, By: speaker, Says: "the same"},
		{Name: "metallb_bgp_route_refresh_sent", Type: counter, Labels: peer, By: speaker, Says: "the same"},
		{Name: "metallb_bgp_total_sent", Type: counter, Labels: peer, By: speaker, Says: "all messages sent"},
		{Name: "metallb_bgp_total_received", Type: counter, Labels: peer, By: speaker, Says: "all messages received"},
		{Name: "metallb_bgp_endpoint_to_peer_seconds", Type: histogram, By: speaker, Ours: true, Says: "from the cause of a route until bgpd had sent it ([bgp-status.md](bgp-status.md))"},
		{Name: "metallb_bfd_session_up", Type: gauge, Labels: peer, By: speaker, Says: "1 while BFD sees the path work"},
		{Name: "metallb_bfd_control_packet_input", Type: counter, Labels: peer, By: speaker, Says: "packets"},
		{Name: "metallb_bfd_control_packet_output", Type: counter, Labels: peer, By: speaker, Says: "packets"},
		{Name: "metallb_bfd_echo_packet_input", Type: counter, Labels: peer, By: speaker, Says: "packets"},
		{Name: "metallb_bfd_echo_packet_output", Type: counter, Labels: peer, By: speaker, Says: "packets"},
		{Name: "metallb_bfd_session_up_events", Type: counter, Labels: peer, By: speaker, Says: "times that the session came up"},
		{Name: "metallb_bfd_session_down_events", Type: counter, Labels: peer, By: speaker, Says: "times that it went down"},
		{Name: "metallb_bfd_zebra_notifications", Type: counter, Labels: peer, By: speaker, Says: "notifications from bfdd to zebra"},

		{Name: "metallb_speaker_frr_up", Type: gauge, By: speaker, Ours: true, Says: "1 if FRR's daemons answered"},
		{Name: "metallb_speaker_frr_apply_failing", Type: gauge, By: speaker, Ours: true, Says: "1 while FRR does not run what is wanted, because it refused it or could not be given it"},
		{Name: "metallb_speaker_frr_drift", Type: gauge, By: speaker, Ours: true, Says: "1 while FRR runs something else than it was told that could not be put right"},
		{Name: "metallb_speaker_frr_drift_total", Type: counter, Labels: []string{"result"}, By: speaker, Ours: true, Says: "times that it did: `repaired`, `remains`"},
		{Name: "metallb_speaker_frr_daemon_ended_total", Type: counter, Labels: []string{"daemon"}, By: speaker, Ours: true, Says: "times that a daemon ended or stopped to answer"},
		{Name: "metallb_speaker_apply_duration_seconds", Type: histogram, Labels: []string{"kind"}, By: speaker, Ours: true, Says: "until FRR acknowledged a configuration, or did not: `unchanged`, `delta`, `full`, `refused`, `failed`"},
		{Name: "metallb_speaker_pass_duration_seconds", Type: histogram, By: speaker, Ours: true, Says: "time to gather, decide and render between two reports of an outcome"},

		{Name: "metallb_operator_condition", Type: gauge, Labels: []string{"type"}, By: operator, Ours: true, Says: "1 while the condition of the MetalLB object is True: Available, Progressing, Degraded, Upgradeable"},
		{Name: "metallb_operator_pod_ready", Type: gauge, Labels: []string{"component", "node"}, By: operator, Ours: true, Says: "1 if a pod of the component on the node is ready, 0 if the pod there is not"},
		{Name: "metallb_operator_pods_absent", Type: gauge, Labels: []string{"component"}, By: operator, Ours: true, Says: "pods that are wanted and do not exist"},
	}
}
