package reload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
)

// load makes FRR load a whole file, after FRR has checked the syntax of the
// configuration. Where FRR refuses, what was done until then is taken back.
func (e *Engine) load(ctx context.Context, a *attempt, reason error) error {
	e.o.Log.Info("Checking the configuration file syntax", "event", "full", "reason", reason.Error(), "hash", a.hash)
	dir, err := e.stage(a.conf)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // it holds secrets and is of no use afterwards
	if err := e.o.Loader.Check(ctx, dir); err != nil {
		e.o.Log.Error("Syntax error spotted: aborting..", "event", "full", "hash", a.hash)
		return e.refuse(ctx, a, err, "")
	}
	loadable, err := e.loadable(ctx, a, reason)
	if err != nil {
		return err
	}
	if err := e.write(filepath.Join(dir, "frr.conf"), []byte(loadable)); err != nil {
		return err
	}
	e.o.Log.Info("Applying the configuration file", "event", "full", "hash", a.hash)
	out, err := e.o.Loader.Load(ctx, dir)
	a.said.WriteString(redactAll(out))
	if err != nil {
		return e.refuse(ctx, a, err, "")
	}
	a.ack.How, a.ack.Reason = frr.FullReload, reason.Error()
	if err := e.afterLoad(ctx, a); err != nil {
		return err
	}
	e.o.Log.Info("FRR reloaded successfully!", "event", "full", "hash", a.hash, "left", e.left)
	return nil
}

// stage makes a directory, to be used as FRR's configuration directory, with the
// configuration in it. It is not FRR's own: frr-reload.py would overwrite the
// file there with FRR's way of writing it, without comments and order.
func (e *Engine) stage(conf []byte) (string, error) {
	dir, err := os.MkdirTemp(filepath.Dir(e.o.ConfigFile), ".reload-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the file to load: %w", err)
	}
	err = errors.Join(
		os.Chown(dir, e.o.Owner, e.o.Group),
		e.write(filepath.Join(dir, "frr.conf"), conf),
		e.write(filepath.Join(dir, "vtysh.conf"), []byte(vtyshFile)),
	)
	if err != nil {
		return "", errors.Join(fmt.Errorf("prepare the file to load: %w", err), os.RemoveAll(dir))
	}
	return dir, nil
}

// loadable is the text that frr-reload.py is given. Where only lines are the
// reason whose meaning is not known, the rest is brought about by commands first,
// and the script is left with those lines alone.
func (e *Engine) loadable(ctx context.Context, a *attempt, reason error) (string, error) {
	full, ok := errors.AsType[*frrdelta.Full](reason)
	if ok && (full.Cause == frrdelta.UnknownLine || full.Cause == frrdelta.StrayLine) {
		running, err := e.readBack(ctx)
		if err != nil {
			return "", err
		}
		plan, full := frrdelta.Diff(running, a.config, frrdelta.ResidueOf(running, a.config))
		if full == nil {
			// What is refused may need one of the lines that are not known, such as a peer group: then the file is loaded in its own order.
			refused, err := e.send(ctx, a, plan)
			if err != nil {
				return "", err
			}
			ok = refused == nil
		} else {
			ok = false
		}
	}
	shown, err := e.o.Loader.Running(ctx)
	if err != nil {
		return "", &unavailable{err}
	}
	if ok {
		return frrdelta.Patch(shown, a.config), nil
	}
	return frrdelta.Loadable(string(a.conf), shown), nil
}

// afterLoad reads back what a load came to. frr-reload.py may leave things that
// commands can put right; what stays different then is FRR's way of writing, or
// of doing, and is reported instead of being tried forever.
func (e *Engine) afterLoad(ctx context.Context, a *attempt) error {
	e.left = ""
	for range 2 {
		running, err := e.readBack(ctx)
		if err != nil {
			return err
		}
		e.residue = frrdelta.ResidueOf(running, a.config)
		plan, full := frrdelta.Diff(running, a.config, e.residue)
		if full == nil && plan.Equal() {
			e.left, e.later = "", plan
			return nil
		}
		e.left = difference(plan, full)
		sent := full == nil
		if sent {
			reason, err := e.command(ctx, a, plan)
			if err != nil {
				return err
			}
			if reason != nil {
				e.left, sent = reason.Error(), false
			}
		}
		if !sent {
			break // commands are of no more help
		}
	}
	a.ack.Difference = e.left
	return nil
}

// refuse turns what FRR found wrong into *frr.Refused and returns FRR to what it
// ran before.
func (e *Engine) refuse(ctx context.Context, a *attempt, cause error, command string) error {
	fault, ok := errors.AsType[*Fault](cause)
	if !ok {
		if err := e.rollback(ctx, a); err != nil {
			return errors.Join(cause, err)
		}
		return cause
	}
	refused := &frr.Refused{Refusal: refusal(a.conf, fault.Words, command)}
	if e.wanted != nil {
		refused.Hash = e.wanted.hash
	}
	if err := e.rollback(ctx, a); err != nil {
		return errors.Join(refused, err)
	}
	return refused
}

// rollback leads FRR back to what it ran when the attempt began.
func (e *Engine) rollback(ctx context.Context, a *attempt) error {
	running, err := e.readBack(ctx)
	if err != nil {
		return err
	}
	back := frrdelta.Merge(a.before)
	residue := frrdelta.ResidueOf(a.before, back)
	plan, full := frrdelta.Diff(running, back, residue)
	if full == nil && plan.Equal() {
		return nil
	}
	if full == nil {
		if _, err := e.daemons.execute(ctx, plan.Steps); err == nil {
			if running, err = e.readBack(ctx); err != nil {
				return err
			}
			if rest, full := frrdelta.Diff(running, back, residue); full == nil && rest.Equal() {
				return nil
			}
		}
	}
	// Lines whose meaning is not known only a load brings back or takes away. It is given what runs but for those.
	shown, err := e.o.Loader.Running(ctx)
	if err != nil {
		return &unavailable{err}
	}
	dir, err := e.stage([]byte(frrdelta.Patch(shown, back)))
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out, err := e.o.Loader.Load(ctx, dir)
	if err != nil {
		return fmt.Errorf("load what FRR ran before again, %s: %w\n%s", difference(plan, full), err, redactAll(out))
	}
	_, err = e.readBack(ctx)
	return err
}

// lineWords is how vtysh names a line: "line 3: % Unknown command: ..." or
// "line 3: Failure to communicate[13] to zebra, line: ...".
var lineWords = regexp.MustCompile(`line (\d+):`)

// daemonWords is how a daemon refuses a line of a file that frr-reload.py loads:
//
//	% Specify remote-as or peer-group commands first
//	line 2: Failure to communicate[13] to bgpd, line:  neighbor 192.0.2.99 timers 1 3
var daemonWords = regexp.MustCompile(`(?m)^(.*)\nline \d+: Failure to communicate\[\d+\] to \w+, line: (.*)$`)

// refusal finds the line of the configuration that FRR refused: by its number
// where the words have one, by the command, or by the words repeating it.
func refusal(conf []byte, words, command string) frr.Refusal {
	r := frr.Refusal{Words: strings.TrimSpace(redactAll(words))}
	lines := strings.Split(string(conf), "\n")
	at := func(i int) frr.Refusal {
		r.LineNumber, r.Line = i+1, frrdelta.Redact(strings.TrimSpace(lines[i]))
		return r
	}
	if m := daemonWords.FindStringSubmatch(words); m != nil {
		// The number is one in a file that frr-reload.py made, and there is much around the words.
		r.Words = strings.TrimSpace(redactAll(m[1]))
		if i := lineOf(lines, strings.Join(strings.Fields(m[2]), " ")); i >= 0 {
			return at(i)
		}
		r.Line = frrdelta.Redact(strings.TrimSpace(m[2]))
		return r
	}
	if m := lineWords.FindStringSubmatch(words); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n >= 1 && n <= len(lines) {
			return at(n - 1)
		}
	}
	if i := lineOf(lines, command); i >= 0 {
		return at(i)
	}
	longest, found := "", -1
	for i, line := range lines {
		if text := strings.TrimSpace(line); len(text) > len(longest) && strings.Contains(words, text) {
			longest, found = text, i
		}
	}
	if found >= 0 {
		return at(found)
	}
	return r
}

// sequence is the number that a list entry gets where the configuration has none.
var sequence = regexp.MustCompile(` seq \d+`)

// lineOf finds the line of a configuration that a command comes from, -1 for none.
func lineOf(lines []string, command string) int {
	if command == "" {
		return -1
	}
	short := sequence.ReplaceAllString(command, "")
	return slices.IndexFunc(lines, func(line string) bool {
		text := strings.Join(strings.Fields(line), " ")
		return text == command || text == short
	})
}

func redactAll(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		body, end, _ := strings.Cut(line, "\n")
		b.WriteString(frrdelta.Redact(body))
		if strings.HasSuffix(line, "\n") {
			b.WriteString("\n" + end)
		}
	}
	return b.String()
}

// Scripts is the Loader that uses FRR's own programs.
type Scripts struct {
	// Enter is put before every command line: nothing where FRR's programs are
	// at hand, nsenter and its arguments where FRR is in other namespaces.
	Enter []string
	// Inner turns a file name as the reloader sees it into what FRR's programs
	// see; nil where they are the same.
	Inner func(string) string
	// Vtysh and FRRReload are the paths of FRR's programs.
	Vtysh, FRRReload string
}

var _ Loader = (*Scripts)(nil)

// earlyExit is how vtysh 10 says, without failing, that it reads no further, because an "exit" leads out of the configuration.
const earlyExit = "early exit from config file"

// Check runs `vtysh -C`.
func (s *Scripts) Check(ctx context.Context, dir string) error {
	dir = s.inner(dir)
	out, err := s.run(ctx, s.Vtysh, "-C", "--config_dir", dir, "-f", filepath.Join(dir, "frr.conf"))
	if err == nil && strings.Contains(out, earlyExit) {
		return &Fault{Words: out}
	}
	return err
}

// Load runs `frr-reload.py --reload`.
func (s *Scripts) Load(ctx context.Context, dir string) (string, error) {
	dir = s.inner(dir)
	return s.run(ctx, s.FRRReload, "--reload", "--stdout", "--confdir", dir, filepath.Join(dir, "frr.conf"))
}

// Running asks vtysh for what all daemons run together.
func (s *Scripts) Running(ctx context.Context) (string, error) {
	return s.run(ctx, s.Vtysh, "-c", "show running-config")
}

func (s *Scripts) inner(file string) string {
	if s.Inner != nil {
		return s.Inner(file)
	}
	return file
}

func (s *Scripts) run(ctx context.Context, args ...string) (string, error) {
	line := append(append([]string{}, s.Enter...), args...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() && ctx.Err() == nil {
		return string(out), &Fault{Words: string(out)}
	}
	if err != nil {
		return string(out), fmt.Errorf("run %s: %w", args[0], err)
	}
	return string(out), nil
}
