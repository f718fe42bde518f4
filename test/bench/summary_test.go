package bench

import (
	"testing"
	"time"
)

func TestQuantilesAreSamplesThatWereMeasured(t *testing.T) {
	s := make(Samples, 0, 20)
	for i := 20; i > 0; i-- {
		s = append(s, time.Duration(i)*time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 10, 0.99: 20, 1: 20} {
		if got := s.Quantile(q); got != want*time.Millisecond {
			t.Errorf("quantile %v of 1 to 20 ms is %v, want %d ms", q, got, want)
		}
	}
	if s[0] != 20*time.Millisecond {
		t.Errorf("the samples were put in another order: %v", s)
	}
	if got := Samples(nil).Median(); got != 0 {
		t.Errorf("median of nothing is %v, want 0", got)
	}
}

func TestReportWritesOneAlignedTablePerTitle(t *testing.T) {
	r := NewReport("Idle", "Unused", "Burst")
	r.Value("Burst", "ratio", "1.40", "1.50")
	r.Durations("Idle", "created → route", Samples{120 * time.Millisecond, 1500 * time.Microsecond}, "150")
	r.Durations("Idle", "deleted → gone", Samples{2 * time.Second}, "")
	const want = `
### Idle

| milliseconds    | n |  min | median |   p99 | target |
|-----------------|--:|-----:|-------:|------:|-------:|
| created → route | 2 | 1.50 |   1.50 | 120.0 |    150 |
| deleted → gone  | 1 | 2000 |   2000 |  2000 |        |

### Burst

|       | value | target |
|-------|------:|-------:|
| ratio |  1.40 |   1.50 |
`
	if got := r.String(); got != want {
		t.Errorf("report is\n%s\nwant\n%s", got, want)
	}
}
