package addressprobe

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/probe"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

// longestMessage is that of the definition, in characters.
const longestMessage = 1024

// resultsOf asks for addresses as they are written in an object and returns one result for each text. A text that is there twice gets one: the
// API knows results by it.
func resultsOf(ctx context.Context, texts []string, ask func(context.Context, []netip.Addr) []probe.Result) []v1beta1.AddressProbeResult {
	results := make([]v1beta1.AddressProbeResult, 0, len(texts))
	var wanted []netip.Addr
	var asked []int // where in results the answer about the address in wanted goes
	seen := map[string]bool{}
	for _, text := range texts {
		if seen[text] {
			continue
		}
		seen[text] = true
		results = append(results, v1beta1.AddressProbeResult{Address: text})
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			last := &results[len(results)-1]
			last.State = v1beta1.AddressProbeFailed
			last.Message = fmt.Sprintf("found %q, wanted an IP address such as 192.0.2.7 or 2001:db8::7", text)
			continue
		}
		wanted, asked = append(wanted, address.Unmap()), append(asked, len(results)-1)
	}
	if len(wanted) == 0 {
		return results
	}
	for i, found := range ask(ctx, wanted) {
		fill(&results[asked[i]], found)
	}
	return results
}

func fill(r *v1beta1.AddressProbeResult, found probe.Result) {
	r.State, r.Interface = v1beta1.AddressProbeState(found.State.String()), found.Link
	if found.MAC != (wire.MAC{}) {
		r.HardwareAddress = found.MAC.String()
	}
	r.Message = found.Message
	if letters := []rune(r.Message); len(letters) > longestMessage {
		r.Message = string(letters[:longestMessage])
	}
}

// summary is what the log says of results.
func summary(results []v1beta1.AddressProbeResult) string {
	words := make([]string, len(results))
	for i, r := range results {
		words[i] = fmt.Sprintf("%s %s (%s)", r.Address, r.State, r.Message)
	}
	return strings.Join(words, ", ")
}
