package service

import (
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

func TestGivenAccountsWhenMetricsAreScrapedThenEveryNumberIsThereUnderItsName(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(func() account {
		return account{pending: 3, pools: []ipam.Usage{{
			Pool: "p", Services: 5,
			IPv4: ipam.Count{Total: 16, Used: 4, Reserved: 2}, IPv6: ipam.Count{Total: math.MaxInt64, Used: 6, Reserved: 1},
		}}}
	}))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
	}
	for name, want := range map[string]float64{
		"metallb_allocator_addresses_total": 16 + math.MaxInt64, "metallb_allocator_addresses_in_use_total": 10,
		"metallb_allocator_ipv4_addresses_total": 16, "metallb_allocator_ipv4_addresses_in_use_total": 4,
		"metallb_allocator_ipv6_addresses_total": math.MaxInt64, "metallb_allocator_ipv6_addresses_in_use_total": 6,
		"metallb_allocator_services_allocated_total": 5, "metallb_allocator_addresses_reserved_total": 3, "metallb_allocator_pending_services": 3,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v, %t: want %v", name, value, ok, want)
		}
	}
}
