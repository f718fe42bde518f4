package ipam_test

import (
	"math"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

func TestRangesAreReadAsUsersWriteThem(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/24":             "10.0.0.0-10.0.0.255",
		"10.0.0.77/24":            "10.0.0.0-10.0.0.255",
		"10.0.0.7/32":             "10.0.0.7-10.0.0.7",
		"0.0.0.0/0":               "0.0.0.0-255.255.255.255",
		"10.0.0.5-10.0.0.9":       "10.0.0.5-10.0.0.9",
		" 10.0.0.5 -  10.0.0.9  ": "10.0.0.5-10.0.0.9",
		"2001:db8::/125":          "2001:db8::-2001:db8::7",
		"2001:db8::1-2001:db8::2": "2001:db8::1-2001:db8::2",
		"::/0":                    "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	} {
		if got, err := ipam.ParseRange(text); err != nil || got.String() != want {
			t.Errorf("%q is %v, %v: wanted %s", text, got, err, want)
		}
	}
}

func TestWhatIsNoRangeIsRefusedWithWhatIsWanted(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "wanted a prefix such as",
		"10.0.0.7":                 "wanted a prefix such as",
		"10.0.0.0/33":              "wanted a prefix such as",
		"10.0.0.9-10.0.0.5":        "wanted the lower address first",
		"10.0.0.5-2001:db8::1":     "wanted two addresses of one family",
		"10.0.0.5-":                `"" is not an IP address`,
		"10.0.0.5-10.0.0.9-10":     `"10.0.0.9-10" is not an IP address`,
		"fe80::1%eth0-fe80::2":     `"fe80::1%eth0" is not an IP address`,
		"::ffff:10.0.0.0/120":      "not mapped into IPv6",
		"::ffff:10.0.0.0-::ffff:1": `"::ffff:10.0.0.0" is not an IP address`,
	} {
		if got, err := ipam.ParseRange(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %v, %v: wanted an error with %q", text, got, err, want)
		}
	}
}

func TestSizesCountWithoutOverflow(t *testing.T) {
	for text, want := range map[string][2]int64{
		"10.0.0.0/24":                         {256, 254},
		"10.0.0.0/32":                         {1, 0},
		"10.0.0.255-10.0.1.0":                 {2, 0},
		"10.0.0.250-10.0.2.3":                 {266, 262},
		"0.0.0.0/0":                           {1 << 32, 1<<32 - 1<<25},
		"255.255.255.254-255.255.255.255":     {2, 1},
		"2001:db8::/120":                      {256, 256},
		"2001:db8::/67":                       {1 << 61, 1 << 61},
		"2001:db8::/66":                       {math.MaxInt64, math.MaxInt64},
		"2001:db8::/64":                       {math.MaxInt64, math.MaxInt64},
		"::/0":                                {math.MaxInt64, math.MaxInt64},
		"2001:db8:0:0:ffff::-2001:db8:0:1::5": {1<<48 + 6, 1<<48 + 6},
	} {
		r, err := ipam.ParseRange(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]int64{r.Size(false), r.Size(true)}; got != want {
			t.Errorf("%s has %v addresses: wanted %v", text, got, want)
		}
	}
}

func TestCountersOfHugePoolsStayAtTheLimit(t *testing.T) {
	p := pool(t, "p", []string{"2001:db8::/67", "2001:db8:1::/67", "2001:db8:2::/67", "2001:db8:3::/67", "2001:db8:4::/64"})
	a := open(t, p)
	a.ask(v4("s", dual(ipam.SingleStack, ipam.IPv6)), "2001:db8::")
	u := a.ledger.Usage()[0]
	if u.IPv6.Total != math.MaxInt64 || u.IPv6.Used != 1 || u.IPv6.Available() != math.MaxInt64 || u.IPv4 != (ipam.Count{}) {
		t.Errorf("usage is %+v: wanted one address of more than can be counted", u)
	}
}
