package frrdelta

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// page is a configuration text as lines, which a test edits at random.
type page []string

func firstPage() page {
	return strings.Split(`frr version 8.4.4
route-map a permit 10
exit
router bgp 64512
 neighbor 192.0.2.1 remote-as 64513
 address-family ipv4 unicast
  network 10.0.0.1/32 route-map a
  network 10.0.0.3/32 route-map a
  network 10.0.0.5/32
  neighbor 192.0.2.1 activate
 exit-address-family
 !
 address-family ipv6 unicast
  network 2001:db8::1/128 route-map a
 exit-address-family
exit
router bgp 64512 vrf red
 address-family ipv4 unicast
  network 10.0.0.2/32 route-map b
  network 10.0.0.4/32 route-map a
 exit-address-family
exit
bfd
exit`, "\n")
}

// edit inserts, removes, replaces or moves a few lines; as a rule these are network lines, in order or not, and sometimes anything.
func (p page) edit(random *rand.Rand) page {
	p = slices.Clone(p)
	line := func() string {
		prefix := fmt.Sprintf("10.0.0.%d/32", random.IntN(8))
		switch random.IntN(12) {
		case 0:
			prefix = fmt.Sprintf("2001:db8::%d/128", random.IntN(4))
		case 1:
			prefix = "10.0.0.77/24" // FRR knows it by another name
		case 2:
			return slices.Concat(firstPage(), page{"", " !", "something strange", "router bgp 7"})[random.IntN(28)]
		}
		return "  network " + prefix + []string{"", " route-map a", " route-map b"}[random.IntN(3)]
	}
	at := random.IntN(len(p))
	if random.IntN(5) > 0 { // among the networks
		var networks []int
		for i, l := range p {
			if strings.Contains(l, "network ") || strings.Contains(l, "address-family") {
				networks = append(networks, i)
			}
		}
		if len(networks) > 0 {
			at = networks[random.IntN(len(networks))]
		}
	}
	switch random.IntN(4) {
	case 0:
		return slices.Insert(p, at+1, line())
	case 1:
		if len(p) > 1 {
			return slices.Delete(p, at, at+1)
		}
	case 2:
		p[at] = line()
	default:
		return p.fitting(random)
	}
	return p
}

// fitting adds or removes a prefix where it belongs, as it happens all the time.
func (p page) fitting(random *rand.Rand) page {
	prefix := fmt.Sprintf("10.0.0.%d/32", random.IntN(10))
	for i, l := range p {
		if !strings.HasPrefix(l, "  network 10.") {
			continue
		}
		switch have := strings.Fields(l)[1]; {
		case have == prefix:
			return slices.Delete(p, i, i+1)
		case have > prefix:
			return slices.Insert(p, i, "  network "+prefix+" route-map a")
		}
	}
	return p
}

func TestGivenAnyHistoryOfTextsWhenReadOneAfterAnotherThenEachConfigIsThatOfReadingAnew(t *testing.T) {
	shortcuts := 0
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		var reader Reader
		p := firstPage()
		ending := []string{"", "\n", "\nend\n"}[seed%3]
		for step := range 60 {
			if random.IntN(15) == 0 {
				p = firstPage()
			}
			text := strings.Join(p, "\n") + ending
			before := Reader{reader.text, reader.config, slices.Clone(reader.runs)}
			if before.config != nil && before.again(text) {
				shortcuts++
			}
			got, want := reader.Parse(text), Parse(text)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, step %d: read\n%s\nas %+v\nwanted %+v", seed, step, text, got, want)
			}
			for range 1 + random.IntN(2) {
				p = p.edit(random)
			}
		}
	}
	if shortcuts < 1000 {
		t.Errorf("%d of 12000 texts were read by what changed: wanted more, or the test shows little", shortcuts)
	}
}

func TestGivenManyPrefixesWhenOneComesOrGoesThenOnlyItsLineIsRead(t *testing.T) {
	list := func(skip int) string {
		var b strings.Builder
		b.WriteString("router bgp 64512\n address-family ipv4 unicast\n")
		for i := range 100 {
			if i != skip {
				fmt.Fprintf(&b, "  network 10.0.0.%d/32 route-map s\n", i)
			}
		}
		b.WriteString("  neighbor 192.0.2.1 activate\n exit-address-family\nexit\n")
		return b.String()
	}
	for _, skip := range []int{0, 1, 50, 98, 99} {
		for _, texts := range [][2]string{{list(skip), list(-1)}, {list(-1), list(skip)}} {
			var r Reader
			r.Parse(texts[0])
			if !r.again(texts[1]) || !reflect.DeepEqual(r.config, Parse(texts[1])) {
				t.Errorf("prefix %d: all was read, or not what the text says", skip)
			}
		}
	}
}
