package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Samples are measurements of one thing, in the order they were made.
type Samples []time.Duration

// Quantile is the smallest sample that at least the share q (0 to 1) of all samples does not exceed: 0 gives the least,
// 0.5 the median, 1 the greatest. Without samples it is 0.
func (s Samples) Quantile(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	rank := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// Median is the Quantile 0.5.
func (s Samples) Median() time.Duration { return s.Quantile(0.5) }

// Milliseconds writes a duration in milliseconds, with as many decimals as a reader has use for.
func Milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f", ms)
	case ms < 1000:
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

// Report collects what the benchmarks found, for the tables at the end. All rows of a table have the same columns. Its methods may be called from several goroutines.
type Report struct {
	mu     sync.Mutex
	tables []*table
}

// NewReport returns a Report whose tables come in the order of these titles.
func NewReport(titles ...string) *Report {
	r := &Report{}
	for _, title := range titles {
		r.tables = append(r.tables, &table{title: title})
	}
	return r
}

type table struct {
	title string
	head  []string
	rows  [][]string
}

// Durations adds a row of times to the table of that title.
func (r *Report) Durations(title, what string, s Samples, target string) {
	r.row(title, []string{"milliseconds", "n", "min", "median", "p99", "target"}, []string{what, fmt.Sprint(len(s)),
		Milliseconds(s.Quantile(0)), Milliseconds(s.Median()), Milliseconds(s.Quantile(0.99)), target})
}

// Value adds a row with one value to the table of that title.
func (r *Report) Value(title, what, value, target string) {
	r.row(title, []string{"", "value", "target"}, []string{what, value, target})
}

// Cells adds a row of cells to the table of that title, whose columns head names.
func (r *Report) Cells(title string, head, cells []string) { r.row(title, head, cells) }

func (r *Report) row(title string, head, cells []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tables {
		if t.title == title {
			t.head, t.rows = head, append(t.rows, cells)
			return
		}
	}
	r.tables = append(r.tables, &table{title: title, head: head, rows: [][]string{cells}})
}

// String writes the tables in Markdown, aligned so that they can be read as they are.
func (r *Report) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, t := range r.tables {
		if len(t.rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n", t.title)
		t.write(&b)
	}
	return b.String()
}

func (t *table) write(b *strings.Builder) {
	widths := make([]int, len(t.head))
	for _, cells := range append([][]string{t.head}, t.rows...) {
		for i, c := range cells {
			widths[i] = max(widths[i], len([]rune(c)))
		}
	}
	line := func(cells []string) {
		for i, c := range cells {
			pad := strings.Repeat(" ", widths[i]-len([]rune(c)))
			if i == 0 {
				fmt.Fprintf(b, "| %s%s ", c, pad)
			} else {
				fmt.Fprintf(b, "| %s%s ", pad, c)
			}
		}
		b.WriteString("|\n")
	}
	line(t.head)
	for i, w := range widths {
		rule := strings.Repeat("-", w)
		if i == 0 {
			fmt.Fprintf(b, "|-%s-", rule)
		} else {
			fmt.Fprintf(b, "|-%s:", rule)
		}
	}
	b.WriteString("|\n")
	for _, cells := range t.rows {
		line(cells)
	}
}

// Ratio writes how many times as long as b a took.
func Ratio(a, b time.Duration) string { return fmt.Sprintf("%.2f", float64(a)/float64(b)) }
