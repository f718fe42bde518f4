package publish

import (
	"context"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

// remark logs what is wrong with Services that are announced all the same, when that is new, and has users told of what this node is to tell.
func (p *Publisher) remark(ctx context.Context, before, after announce.Node) {
	for old, now := range differences(before, after) {
		had := remarksOn(old)
		for _, r := range remarksOn(now) {
			if slices.Contains(had, r) {
				continue
			}
			p.Log.WarnContext(ctx, r.Detail, "event", r.Code, "service", now[0].Service.String(), "protocol", announce.ProtocolBGP)
			if r.Here {
				p.events.put(note{service: now[0].Service, warning: true, reason: string(r.Code), message: r.Detail})
			}
		}
	}
}

// remarksOn returns the remarks on one Service, each once however many addresses it concerns.
func remarksOn(verdicts []*announce.Verdict) []announce.Remark {
	var all []announce.Remark
	for _, v := range verdicts {
		for _, r := range v.Remarks {
			if !slices.Contains(all, r) {
				all = append(all, r)
			}
		}
	}
	return all
}
