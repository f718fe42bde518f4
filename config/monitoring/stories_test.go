package monitoring_test

import (
	"fmt"
	"slices"
)

// one is a single series.
func one(name, values string) map[string]string { return map[string]string{name: values} }

func stories() []story {
	return slices.Concat(configurationStories(), addressStories(), announcementStories(), bgpStories(), frrStories(), programStories())
}

func configurationStories() []story {
	pod := labels{"pod": "speaker-x", "instance": "192.0.2.7:9120"}
	stale, loaded := `metallb_k8s_client_config_stale_bool{pod="speaker-x",instance="192.0.2.7:9120"}`, `metallb_k8s_client_config_loaded_bool{pod="speaker-x",instance="192.0.2.7:9120"}`
	return []story{
		loud("MetalLBStaleConfig", "3m", one(stale, "0 1x5"), pod, "speaker-x works with a configuration that is not the latest"),
		loud("MetalLBStaleConfig", "3m", one(`metallb_k8s_client_config_stale_bool{instance="192.0.2.7:9120"}`, "0 1x5"), labels{"instance": "192.0.2.7:9120"},
			"192.0.2.7:9120 works with a configuration that is not the latest"),
		silent("MetalLBStaleConfig", "3m", one(stale, "0 0 0 1x5")),
		silent("MetalLBStaleConfig", "10m", one(stale, "0x20")),
		loud("MetalLBConfigNotLoaded", "3m", one(loaded, "0x5"), pod, "speaker-x has no configuration yet"),
		silent("MetalLBConfigNotLoaded", "3m", one(loaded, "0 1x5")),
	}
}

func addressStories() []story {
	pool := func(used, total int) map[string]string {
		return map[string]string{
			`metallb_allocator_addresses_in_use_total{pool="gold"}`: fmt.Sprintf("%dx10", used),
			`metallb_allocator_addresses_total{pool="gold"}`:        fmt.Sprintf("%dx10", total),
		}
	}
	gold := labels{"pool": "gold"}
	all := []story{
		loud("MetalLBAddressPoolExhausted", "2m", pool(256, 256), gold, "IPAddressPool gold has no free address"),
		silent("MetalLBAddressPoolExhausted", "2m", pool(255, 256)),
		loud("MetalLBServicesPending", "11m", one("metallb_allocator_pending_services", "2x20"), labels{}, "2 Services wait for an address"),
		silent("MetalLBServicesPending", "9m", one("metallb_allocator_pending_services", "2x20")),
		silent("MetalLBServicesPending", "15m", one("metallb_allocator_pending_services", "2x5 0x20")),
	}
	for _, percent := range []int{75, 85, 95} {
		alert := fmt.Sprintf("MetalLBAddressPoolUsage%dPercent", percent)
		all = append(all, loud(alert, "2m", pool(percent+1, 100), gold, fmt.Sprintf("IPAddressPool gold is used to %d %%", percent+1)),
			silent(alert, "2m", pool(percent, 100)))
	}
	return all
}

func announcementStories() []story {
	unannounced := func(reason string) string {
		return fmt.Sprintf(`metallb_controller_service_unannounced{service="shop/web",reason=%q,pod="controller-x"}`, reason)
	}
	announced := func(node string) string {
		return fmt.Sprintf(`metallb_speaker_announced{namespace="metallb-system",service="shop/web",protocol="layer2",node=%q,ip="192.0.2.1"}`, node)
	}
	since := func(node string) string {
		return fmt.Sprintf(`metallb_layer2_answering_since_seconds{namespace="metallb-system",ip="192.0.2.1",instance=%q}`, node)
	}
	conflict, quorate := `metallb_layer2_conflicts{ip="192.0.2.1",pod="speaker-x"}`, `metallb_layer2_quorate{pod="speaker-x"}`
	ip := labels{"namespace": "metallb-system", "ip": "192.0.2.1"}
	return []story{
		loud("MetalLBServiceNotAnnounced", "2m", one(unannounced("SessionDown"), "1x5"),
			labels{"service": "shop/web", "reason": "SessionDown"}, "Nobody announces Service shop/web: SessionDown"),
		silent("MetalLBServiceNotAnnounced", "5m", one(unannounced("NoEndpoints"), "1x9")),
		silent("MetalLBServiceNotAnnounced", "5m", one(unannounced("NoLocalEndpoints"), "1x9")),
		silent("MetalLBServiceNotAnnounced", "5m", one(unannounced("SessionDown"), "1 1 stale")),
		loud("MetalLBLayer2TwoAnnouncers", "3m", map[string]string{announced("node1"): "1x9", announced("node2"): "_ 1x9"}, ip,
			"2 nodes answer for 192.0.2.1 on layer 2"),
		// Handed over: one node after the other.
		silent("MetalLBLayer2TwoAnnouncers", "5m", map[string]string{announced("node1"): "1 1 1 stale", announced("node2"): "_ _ 1x9"}),
		// Two Services share the address, one node answers; by BGP many nodes announce one.
		silent("MetalLBLayer2TwoAnnouncers", "5m", map[string]string{announced("node1"): "1x9",
			`metallb_speaker_announced{namespace="metallb-system",service="shop/api",protocol="layer2",node="node1",ip="192.0.2.1"}`: "1x9"}),
		silent("MetalLBLayer2TwoAnnouncers", "5m", map[string]string{`metallb_speaker_announced{protocol="bgp",node="node1",ip="192.0.2.1"}`: "1x9",
			`metallb_speaker_announced{protocol="bgp",node="node2",ip="192.0.2.1"}`: "1x9"}),
		loud("MetalLBLayer2AddressConflict", "2m", one(conflict, "1x5"), labels{"ip": "192.0.2.1", "pod": "speaker-x"}, "Another host claims 192.0.2.1"),
		silent("MetalLBLayer2AddressConflict", "5m", one(conflict, "1 1 0x9")),
		loud("MetalLBLayer2Flapping", "10m", map[string]string{since("node1"): "100 100 stale _ 340 340 stale _ 580 580 stale", since("node2"): "_ _ 220 220 stale _ 460 460 stale _ 700x5"},
			ip, "192.0.2.1 came back to a node 4 times within 15 minutes"),
		// Moved away and back once or twice, as when speakers are restarted one after the other; and long ago.
		silent("MetalLBLayer2Flapping", "10m", map[string]string{since("node1"): "100 100 stale _ 340x9", since("node2"): "_ _ 220 220 stale"}),
		silent("MetalLBLayer2Flapping", "10m", map[string]string{since("node1"): "100 100 stale _ 340 340 stale _ 580x9", since("node2"): "_ _ 220 220 stale",
			since("node3"): "_ _ _ _ _ _ 460 460 stale"}),
		silent("MetalLBLayer2Flapping", "30m", map[string]string{since("node1"): "100 stale 220 stale 340x40"}),
		loud("MetalLBLayer2NotQuorate", "4m", one(quorate, "1 0x9"), labels{"pod": "speaker-x"}, "speaker-x is cut off from the other speakers"),
		silent("MetalLBLayer2NotQuorate", "4m", one(quorate, "0 1x9")),
	}
}

func bgpStories() []story {
	session := func(metric string) string { return metric + `{pod="speaker-x",peer="192.0.2.2:179",vrf="default"}` }
	with := labels{"pod": "speaker-x", "peer": "192.0.2.2:179", "vrf": "default"}
	bgp, bfd := session("metallb_bgp_session_up"), session("metallb_bfd_session_up")
	ups, downs := session("metallb_bgp_session_established_total"), session("metallb_bfd_session_down_events")
	return []story{
		loud("MetalLBBGPSessionDown", "3m", one(bgp, "1 0x5"), with, "speaker-x: BGP session to 192.0.2.2:179 is down"),
		silent("MetalLBBGPSessionDown", "3m", one(bgp, "0 1x5")),
		loud("MetalLBBGPSessionFlapping", "10m", one(ups, "1 2 3 4x9"), with, "speaker-x: BGP session to 192.0.2.2:179 comes and goes"),
		// A restart of the router; a new session; a restart of FRR, with which the count begins anew.
		silent("MetalLBBGPSessionFlapping", "10m", one(ups, "1 2x12")),
		silent("MetalLBBGPSessionFlapping", "10m", one(ups, "0 1x12")),
		silent("MetalLBBGPSessionFlapping", "10m", one(ups, "7 7 7 1x9")),
		loud("MetalLBBFDSessionDown", "3m", one(bfd, "1 0x5"), with, "speaker-x: BFD session to 192.0.2.2:179 is down"),
		silent("MetalLBBFDSessionDown", "3m", one(bfd, "0 1x5")),
		loud("MetalLBBFDSessionFlapping", "10m", one(downs, "0 1 2 3x9"), with, "speaker-x: BFD session to 192.0.2.2:179 comes and goes"),
		silent("MetalLBBFDSessionFlapping", "10m", one(downs, "0 1x12")),
	}
}

func frrStories() []story {
	metric := func(name string) string { return "metallb_speaker_frr_" + name + `{pod="speaker-x"}` }
	with := labels{"pod": "speaker-x"}
	ended := `metallb_speaker_frr_daemon_ended_total{pod="speaker-x",daemon="bgpd"}`
	return []story{
		loud("MetalLBReloadFailing", "4m", one(metric("apply_failing"), "0 1x9"), with, "speaker-x: FRR does not run the wanted configuration"),
		silent("MetalLBReloadFailing", "4m", one(metric("apply_failing"), "0 1 1 0x9")),
		loud("MetalLBFRRDrift", "7m", one(metric("drift"), "0 1x9"), with, "speaker-x: FRR runs something else than it was told"),
		silent("MetalLBFRRDrift", "7m", one(metric("drift"), "0 1 1 0x9")),
		loud("MetalLBFRRDown", "3m", one(metric("up"), "1 0x9"), with, "speaker-x: FRR does not answer"),
		silent("MetalLBFRRDown", "3m", one(metric("up"), "0 1x9")),
		loud("MetalLBFRRDaemonRestarting", "30m", one(ended, "0x9 1x9 2x9 3x30"), labels{"pod": "speaker-x", "daemon": "bgpd"},
			"speaker-x: bgpd ended 3 times within an hour"),
		silent("MetalLBFRRDaemonRestarting", "30m", one(ended, "0x9 1x30")),
	}
}

func programStories() []story {
	ready := func(component, node string) string {
		return fmt.Sprintf(`metallb_operator_pod_ready{namespace="metallb-system",component=%q,node=%q}`, component, node)
	}
	absent := `metallb_operator_pods_absent{component="speaker"}`
	condition := func(kind string) string { return fmt.Sprintf("metallb_operator_condition{type=%q}", kind) }
	return []story{
		loud("MetalLBSpeakerDown", "7m", map[string]string{ready("speaker", "node1"): "1 0x9", ready("speaker", "node2"): "1x9"},
			labels{"namespace": "metallb-system", "component": "speaker", "node": "node1"}, "The speaker on node1 is not ready"),
		// An update takes one node after the other.
		silent("MetalLBSpeakerDown", "9m", map[string]string{ready("speaker", "node1"): "1 0 0 1x9", ready("speaker", "node2"): "1 1 1 0 0 1x9"}),
		loud("MetalLBControllerDown", "7m", one(ready("controller", "node1"), "1 0x9"), labels{"namespace": "metallb-system"}, "No controller is ready"),
		silent("MetalLBControllerDown", "9m", map[string]string{ready("controller", "node1"): "0x12", ready("controller", "node2"): "1x12"}),
		loud("MetalLBPodsAbsent", "7m", one(absent, "0 2x9"), labels{"component": "speaker"}, "2 pods of the speaker do not exist"),
		silent("MetalLBPodsAbsent", "7m", one(absent, "0 2 0x9")),
		loud("MetalLBOperatorDegraded", "7m", one(condition("Degraded"), "0 1x9"), labels{"type": "Degraded"}, "The MetalLB object is Degraded"),
		silent("MetalLBOperatorDegraded", "9m", map[string]string{condition("Available"): "1x12", condition("Degraded"): "0x12"}),
		loud("MetalLBNotWatched", "20m", one(condition("Available"), "1 stale"), labels{}, "Prometheus has no metrics of metallb-operator"),
		silent("MetalLBNotWatched", "20m", one(condition("Available"), "0x30")),
	}
}
