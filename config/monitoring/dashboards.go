package monitoring

import (
	"encoding/json"
	"fmt"
)

// Dashboard is a dashboard of Grafana.
type Dashboard struct {
	// Name is its unique id, and the name of its file without .json.
	Name  string
	Title string
	Rows  []Row
}

// Row is a line of panels.
type Row struct {
	Title  string
	Panels []Panel
}

// Panel is one graph.
type Panel struct {
	Title string
	// Unit is Grafana's name for the unit of the values: short, percent, s, ops, dateTimeFromNow.
	Unit string
	// Queries are drawn into the same graph.
	Queries []Query
}

// Query is an expression of PromQL and what its lines are called, with labels in double braces.
type Query struct{ Expr, Legend string }

// Dashboards returns all dashboards.
func Dashboards() []Dashboard { return []Dashboard{overview(), sessions()} }

func overview() Dashboard {
	return Dashboard{Name: "metallb-overview", Title: "MetalLB / Overview", Rows: []Row{
		{Title: "Installation", Panels: []Panel{
			{Title: "Conditions of the MetalLB object", Unit: "short", Queries: []Query{{`metallb_operator_condition`, "{{type}}"}}},
			{Title: "Pods that are not ready", Unit: "short", Queries: []Query{
				{`sum by (component) (1 - metallb_operator_pod_ready)`, "{{component}}"}, {`metallb_operator_pods_absent`, "{{component}}, absent"}}},
			{Title: "Configuration not in force", Unit: "short", Queries: []Query{
				{`metallb_k8s_client_config_stale_bool`, "{{pod}} stale"}, {`1 - metallb_k8s_client_config_loaded_bool`, "{{pod}} not loaded"}}},
		}},
		{Title: "Addresses", Panels: []Panel{
			{Title: "Use of pools", Unit: "percent", Queries: []Query{
				{`100 * metallb_allocator_addresses_in_use_total / metallb_allocator_addresses_total`, "{{pool}}"}}},
			{Title: "Services by pool", Unit: "short", Queries: []Query{{`metallb_allocator_services_allocated_total`, "{{pool}}"}}},
			{Title: "Services that wait for an address", Unit: "short", Queries: []Query{{`metallb_allocator_pending_services`, "pending"}}},
		}},
		{Title: "Announcements", Panels: []Panel{
			{Title: "Services that nobody announces", Unit: "short", Queries: []Query{
				{`sum by (reason) (metallb_controller_service_unannounced)`, "{{reason}}"}}},
			{Title: "Addresses announced, by node", Unit: "short", Queries: []Query{
				{`count by (node, protocol) (metallb_speaker_announced)`, "{{node}} {{protocol}}"}}},
			{Title: "Addresses not announced, by reason", Unit: "short", Queries: []Query{
				{`sum by (protocol, reason) (metallb_speaker_not_announced)`, "{{protocol}} {{reason}}"}}},
		}},
		{Title: "Layer 2", Panels: []Panel{
			{Title: "Speakers that each one sees", Unit: "short", Queries: []Query{{`metallb_layer2_members`, "{{pod}}"}}},
			{Title: "Addresses that moved within 15 minutes", Unit: "short", Queries: []Query{
				{`sum by (ip) (changes(metallb_layer2_answering_since_seconds[15m])) > 0`, "{{ip}}"}}},
			{Title: "Requests answered", Unit: "ops", Queries: []Query{
				{`sum by (ip) (rate(metallb_layer2_responses_sent[5m]))`, "{{ip}}"}}},
			{Title: "Frames dropped", Unit: "ops", Queries: []Query{{`sum by (reason) (rate(metallb_layer2_dropped_total[5m]))`, "{{reason}}"}}},
		}},
	}}
}

func sessions() Dashboard {
	return Dashboard{Name: "metallb-sessions", Title: "MetalLB / BGP, BFD and FRR", Rows: []Row{
		{Title: "BGP", Panels: []Panel{
			{Title: "Sessions that are down", Unit: "short", Queries: []Query{{`metallb_bgp_session_up == 0`, "{{pod}} {{peer}}"}}},
			{Title: "Times that sessions came up, per hour", Unit: "short", Queries: []Query{
				{`increase(metallb_bgp_session_established_total[1h]) > 0`, "{{pod}} {{peer}}"}}},
			{Title: "Prefixes sent", Unit: "short", Queries: []Query{{`metallb_bgp_announced_prefixes_total`, "{{pod}} {{peer}}"}}},
			{Title: "Prefixes received", Unit: "short", Queries: []Query{{`metallb_bgp_received_prefixes_total`, "{{pod}} {{peer}}"}}},
		}},
		{Title: "Messages", Panels: []Panel{
			{Title: "UPDATE messages", Unit: "ops", Queries: []Query{
				{`rate(metallb_bgp_updates_total[5m])`, "{{pod}} {{peer}} sent"}, {`rate(metallb_bgp_updates_total_received[5m])`, "{{pod}} {{peer}} received"}}},
			{Title: "NOTIFICATION messages sent", Unit: "short", Queries: []Query{
				{`increase(metallb_bgp_notifications_sent[1h])`, "{{pod}} {{peer}}"}}},
			{Title: "From the cause of a route until it was sent, 99 of 100", Unit: "s", Queries: []Query{
				{`histogram_quantile(0.99, sum by (le) (rate(metallb_bgp_endpoint_to_peer_seconds_bucket[1h])))`, "p99"}}},
		}},
		{Title: "BFD", Panels: []Panel{
			{Title: "Sessions that are down", Unit: "short", Queries: []Query{{`metallb_bfd_session_up == 0`, "{{pod}} {{peer}}"}}},
			{Title: "Times that sessions went down, per hour", Unit: "short", Queries: []Query{
				{`increase(metallb_bfd_session_down_events[1h])`, "{{pod}} {{peer}}"}}},
			{Title: "Control packets", Unit: "ops", Queries: []Query{
				{`rate(metallb_bfd_control_packet_output[5m])`, "{{pod}} {{peer}} sent"}, {`rate(metallb_bfd_control_packet_input[5m])`, "{{pod}} {{peer}} received"}}},
		}},
		{Title: "FRR", Panels: []Panel{
			{Title: "FRR does not answer, or not run what is wanted", Unit: "short", Queries: []Query{
				{`1 - metallb_speaker_frr_up`, "{{pod}} does not answer"}, {`metallb_speaker_frr_apply_failing`, "{{pod}} not applied"},
				{`metallb_speaker_frr_drift`, "{{pod}} drift"}}},
			{Title: "Configurations applied per hour, by kind", Unit: "short", Queries: []Query{
				{`sum by (kind) (increase(metallb_speaker_apply_duration_seconds_count[1h]))`, "{{kind}}"}}},
			{Title: "Time until FRR acknowledged, 99 of 100", Unit: "s", Queries: []Query{
				{`histogram_quantile(0.99, sum by (le, kind) (rate(metallb_speaker_apply_duration_seconds_bucket[1h])))`, "{{kind}}"}}},
			{Title: "Ends of daemons per hour", Unit: "short", Queries: []Query{
				{`sum by (pod, daemon) (increase(metallb_speaker_frr_daemon_ended_total[1h]))`, "{{pod}} {{daemon}}"}}},
		}},
	}}
}

// columns is how many columns a row of a dashboard has.
const columns = 12

// JSON returns the dashboard as Grafana imports it. The form is an old one, with rows and the panel "graph", which Grafana brings up to date when it
// reads it: the form of the dashboards that OpenShift's own monitoring brings along for its console.
func (d Dashboard) JSON() ([]byte, error) {
	var rows []any
	id := 0
	for _, r := range d.Rows {
		var panels []any
		for _, p := range r.Panels {
			id++
			panels = append(panels, p.json(id, columns/len(r.Panels)))
		}
		rows = append(rows, map[string]any{"title": r.Title, "showTitle": true, "collapse": false, "height": "250px", "panels": panels})
	}
	source := map[string]any{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0, "refresh": 1}
	text, err := json.MarshalIndent(map[string]any{
		"uid": d.Name, "title": d.Title, "tags": []string{"metallb"}, "editable": false, "schemaVersion": 14, "refresh": "30s",
		"time": map[string]any{"from": "now-6h", "to": "now"}, "timezone": "browser",
		"templating": map[string]any{"list": []any{source}}, "rows": rows,
	}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write dashboard %s: %w", d.Name, err)
	}
	return text, nil
}

func (p Panel) json(id, span int) map[string]any {
	var targets []any
	for i, q := range p.Queries {
		targets = append(targets, map[string]any{"expr": q.Expr, "legendFormat": q.Legend, "refId": string(rune('A' + i)), "format": "time_series", "intervalFactor": 2})
	}
	axis := map[string]any{"format": p.Unit, "show": true, "logBase": 1, "min": 0}
	return map[string]any{
		"id": id, "title": p.Title, "type": "graph", "span": span, "datasource": "$datasource", "targets": targets,
		"lines": true, "linewidth": 1, "fill": 0, "nullPointMode": "null", "renderer": "flot",
		"legend": map[string]any{"show": true}, "tooltip": map[string]any{"shared": true, "sort": 2},
		"xaxis": map[string]any{"mode": "time", "show": true}, "yaxes": []any{axis, map[string]any{"format": "short", "show": false}},
	}
}
