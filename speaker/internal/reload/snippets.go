package reload

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrsnippet"
)

// verdict is which sections of raw configuration FRR takes. It holds for as long
// as they are the same, and the configuration that they belong to but for its
// prefixes: another peer may be what a section needs.
type verdict struct {
	of  [sha256.Size]byte
	out []frr.LeftOut
}

// key is what a verdict holds for.
func key(base []byte, sections []frrsnippet.Section) [sha256.Size]byte {
	return sha256.Sum256(frrsnippet.Join(frrsnippet.Skeleton(base), sections))
}

// admit makes FRR run a configuration, and of the raw configuration in it all
// that FRR takes. What it leaves out is in the acknowledgement. Only what is not
// a user's raw configuration makes it fail.
func (e *Engine) admit(ctx context.Context, conf []byte) (frr.Ack, error) {
	base, sections := frrsnippet.Split(conf)
	if len(sections) == 0 {
		e.judged = verdict{}
		return e.converge(ctx, conf)
	}
	t := trial{engine: e, base: base, sections: sections}
	now := key(base, sections)
	if e.judged.of == now {
		t.out = e.judged.out
		if ack, err := t.run(ctx, t.rest()); !isRefusal(err) {
			return e.admitted(ack, conf, t.out), err
		}
		t.out = nil
	}
	ack, err := t.judge(ctx)
	if err != nil {
		return frr.Ack{}, err
	}
	e.judged = verdict{of: now, out: t.out}
	for _, out := range t.out {
		e.o.Log.Error("FRR refuses raw configuration; all the rest runs", "event", "leftOut", "section", out.Section, "error", out.String())
	}
	return e.admitted(ack, conf, t.out), nil
}

// admitted acknowledges the configuration as it was sent.
func (e *Engine) admitted(ack frr.Ack, conf []byte, out []frr.LeftOut) frr.Ack {
	ack.LeftOut = out
	if ack.Difference == "" && ack.Hash != "" {
		ack.Hash = Hash(conf)
		e.wanted.hash = ack.Hash
	}
	return ack
}

// trial finds out which sections of a configuration FRR takes.
type trial struct {
	engine   *Engine
	base     []byte
	sections []frrsnippet.Section
	out      []frr.LeftOut
}

// rest are the sections that are not left out.
func (t *trial) rest() []frrsnippet.Section {
	return slices.DeleteFunc(slices.Clone(t.sections), func(s frrsnippet.Section) bool {
		return slices.ContainsFunc(t.out, func(o frr.LeftOut) bool { return o.Section == s.Name })
	})
}

// judge makes FRR run what it takes.
//
// What its syntax check refuses never reaches a daemon: sections are added one by
// one, in their order. What a daemon refuses is found by adding them one by one
// to what runs: those that ran before stay throughout, so that nothing that works
// is interrupted.
func (t *trial) judge(ctx context.Context) (frr.Ack, error) {
	if err := t.checkSyntax(ctx); err != nil {
		return frr.Ack{}, err
	}
	candidates := t.rest()
	ran := t.engine.sections()
	ack, err := t.run(ctx, candidates)
	if !isRefusal(err) || len(candidates) == 0 {
		return ack, err
	}
	runs := slices.DeleteFunc(slices.Clone(candidates), func(s frrsnippet.Section) bool { return !slices.Contains(ran, s) })
	if ack, err = t.run(ctx, runs); isRefusal(err) && len(runs) > 0 {
		runs = nil
		ack, err = t.run(ctx, runs)
	}
	if err != nil {
		return frr.Ack{}, err
	}
	for _, s := range candidates {
		if slices.Contains(runs, s) {
			continue
		}
		with := slices.DeleteFunc(slices.Clone(candidates), func(o frrsnippet.Section) bool { return o != s && !slices.Contains(runs, o) })
		next, err := t.run(ctx, with)
		if refused, ok := errors.AsType[*frr.Refused](err); ok {
			t.out = append(t.out, leftOut(t.base, with, s, refused.Refusal))
			continue
		}
		if err != nil {
			return frr.Ack{}, err
		}
		ack, runs = sum(ack, next), with
	}
	t.inOrder()
	last, err := t.run(ctx, runs) // what was refused after it had been taken still runs
	return sum(ack, last), err
}

// inOrder gives what is left out the order of the file.
func (t *trial) inOrder() {
	place := func(o frr.LeftOut) int {
		return slices.IndexFunc(t.sections, func(s frrsnippet.Section) bool { return s.Name == o.Section })
	}
	slices.SortStableFunc(t.out, func(a, b frr.LeftOut) int { return place(a) - place(b) })
}

// sum acknowledges two steps to one configuration.
func sum(a, b frr.Ack) frr.Ack {
	if b.How == frr.Unchanged || a.How == frr.FullReload && b.How == frr.Delta {
		b.How, b.Reason = a.How, a.Reason
	}
	b.Commands += a.Commands
	b.DurationMicros += a.DurationMicros
	b.Output = a.Output + b.Output
	return b
}

// run makes FRR run the base with some of the sections. Those that FRR takes and
// then shows as something else are refused, too: as long as what runs cannot be
// told from what is wanted, every change would load the whole file again.
func (t *trial) run(ctx context.Context, sections []frrsnippet.Section) (frr.Ack, error) {
	ack, err := t.engine.converge(ctx, frrsnippet.Join(t.base, sections))
	if err == nil && ack.Difference != "" && len(sections) > 0 {
		words := "FRR takes it, but runs something else than is written; write it as FRR's show running-config does. To be the same it would still take: " + ack.Difference
		return frr.Ack{}, &frr.Refused{Refusal: frr.Refusal{Words: words}}
	}
	return ack, err
}

// sections are those that FRR runs.
func (e *Engine) sections() []frrsnippet.Section {
	if e.wanted == nil {
		return nil
	}
	_, running := frrsnippet.Split(e.wanted.conf)
	return running
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[*frr.Refused](err)
	return ok
}

// checkSyntax leaves out what FRR's own check refuses, each together with those
// before it. Prefixes have no part in that, and there may be thousands.
func (t *trial) checkSyntax(ctx context.Context) error {
	base := frrsnippet.Skeleton(t.base)
	fault, err := t.check(ctx, base, t.sections)
	if fault == nil || err != nil {
		return err
	}
	if fault, err = t.check(ctx, base, nil); fault != nil || err != nil {
		return err // it is not the sections: whoever loads the base tells
	}
	var taken []frrsnippet.Section
	for _, s := range t.sections {
		with := append(slices.Clip(taken), s)
		fault, err := t.check(ctx, base, with)
		if err != nil {
			return err
		}
		if fault == nil {
			taken = with
			continue
		}
		t.out = append(t.out, leftOut(base, with, s, refusal(frrsnippet.Join(base, with), firstFault(fault.Words), "")))
	}
	return nil
}

// check runs FRR's check over the base and some sections. It returns a Fault that
// it finds, and an error where it could not be run.
func (t *trial) check(ctx context.Context, base []byte, sections []frrsnippet.Section) (*Fault, error) {
	dir, err := t.engine.stage(frrsnippet.Join(base, sections))
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // it holds secrets and is of no use afterwards
	err = t.engine.o.Loader.Check(ctx, dir)
	if fault, ok := errors.AsType[*Fault](err); ok {
		return fault, nil
	}
	return nil, err
}

// firstFault is the first of the lines that vtysh finds at fault.
func firstFault(words string) string {
	for line := range strings.Lines(words) {
		if lineWords.MatchString(line) {
			return strings.TrimSpace(line)
		}
	}
	return words
}

// leftOut says of the last section that was tried with others why FRR refuses it.
func leftOut(base []byte, sections []frrsnippet.Section, s frrsnippet.Section, r frr.Refusal) frr.LeftOut {
	out := frr.LeftOut{Section: s.Name, Words: lineWords.ReplaceAllString(r.Words, ""), Line: r.Line}
	out.Words = strings.TrimSpace(out.Words)
	in, number := -1, 0
	if r.LineNumber > 0 {
		in, number = frrsnippet.Place(base, sections, r.LineNumber)
	}
	switch {
	case in < 0 || sections[in].Name != s.Name:
		// The same line may be in another section, or in the base.
		number = 1 + slices.IndexFunc(strings.Split(s.Text, "\n"), func(line string) bool {
			return r.Line != "" && frrdelta.Redact(strings.TrimSpace(line)) == r.Line
		})
	case number > strings.Count(s.Text, "\n"):
		out.Line, number = "", 0
		out.Words = `it leads out of FRR's configuration: there is an "exit" too many`
	}
	out.LineNumber = number
	return out
}
