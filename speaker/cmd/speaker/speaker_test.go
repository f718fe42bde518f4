package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"

	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

func TestGivenANodeWithAPeerWhenAServiceComesAndItsEndpointGoesThenTheRouteDoesToo(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, release)
			w.startSpeaker()
			w.configure()
			w.router.AwaitSession(w, "192.0.2.1")
			w.service("web", "198.51.100.1")
			t.Logf("Service with address and endpoint to route at the router: %v", w.awaitRoute("198.51.100.1", true))
			w.awaitState(isValid)
			frrtest.Eventually(w, frrtest.Patience, func() error {
				o, ok := w.statuses()["web"]
				if !ok || o.Status.Node != "node1" || o.Status.ServiceNamespace != "default" || !slices.Equal(o.Status.Peers, []string{"router"}) {
					return fmt.Errorf("ServiceBGPStatus is %+v", o.Status)
				}
				if !strings.HasPrefix(o.Name, "bgp-") || len(o.OwnerReferences) != 1 || o.OwnerReferences[0].Name != "speaker-x" {
					return fmt.Errorf("ServiceBGPStatus %s is owned by %v", o.Name, o.OwnerReferences)
				}
				return wasSent(o, "router: 198.51.100.1")
			})
			if err := w.Delete(w.Context(), &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}); err != nil {
				t.Fatal(err)
			}
			t.Logf("last endpoint gone to route withdrawn: %v", w.awaitRoute("198.51.100.1", false))
			frrtest.Eventually(w, frrtest.Patience, func() error {
				if left := w.statuses(); len(left) > 0 {
					return fmt.Errorf("%d ServiceBGPStatus are left", len(left))
				}
				return nil
			})
			if got := w.router.Session(w, "192.0.2.1"); got.Established != 1 {
				t.Errorf("the session came up %d times, want once", got.Established)
			}
		})
	}
}

// wasSent checks what a ServiceBGPStatus says that routers were sent, each as "peer: addresses reason".
func wasSent(o v1beta1.ServiceBGPStatus, want ...string) error {
	var have []string
	for _, s := range o.Status.Sent {
		line := strings.TrimSpace(fmt.Sprintf("%s: %s %s", s.Peer, strings.Join(s.Addresses, ","), s.Reason))
		if (len(s.Addresses) > 0) != (s.Since != nil) || (s.Reason != "") != (s.Message != "") {
			line += fmt.Sprintf(" since %v, message %q", s.Since, s.Message)
		}
		have = append(have, line)
	}
	if !slices.Equal(have, want) {
		return fmt.Errorf("ServiceBGPStatus of %s says that was sent %q, want %q", o.Status.ServiceName, have, want)
	}
	return nil
}

func TestGivenServicesWhenSessionsComeAndGoThenTheirStatusSaysWhatWasReallySent(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, release)
			stop := w.startSpeaker()
			w.configure()
			w.create(&v1beta2.BGPPeer{ObjectMeta: named("absent"), Spec: v1beta2.BGPPeerSpec{MyASN: 64500, PeerASN: 64512, PeerAddress: "192.0.2.99"}})
			const many = 40 // more than are asked for one by one
			for i := range many {
				w.service(fmt.Sprintf("web-%d", i), fmt.Sprintf("198.51.100.%d", i+1))
			}
			w.router.AwaitSession(w, "192.0.2.1")
			all := func(say ...string) {
				t.Helper()
				frrtest.Eventually(w, frrtest.Patience, func() error {
					have := w.statuses()
					if len(have) != many {
						return fmt.Errorf("%d objects, want %d", len(have), many)
					}
					for i := range many {
						var want []string
						for _, text := range say {
							want = append(want, strings.ReplaceAll(text, "ADDRESS", fmt.Sprintf("198.51.100.%d", i+1)))
						}
						if err := wasSent(have[fmt.Sprintf("web-%d", i)], want...); err != nil {
							return err
						}
					}
					return nil
				})
			}
			all("absent:  SessionDown", "router: ADDRESS")

			w.service("late", "198.51.100.99")
			w.awaitRoute("198.51.100.99", true)
			frrtest.Eventually(w, frrtest.Patience, func() error { return wasSent(w.statuses()["late"], "absent:  SessionDown", "router: 198.51.100.99") })
			if err := w.Delete(w.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "late"}}); err != nil {
				t.Fatal(err)
			}
			w.router.Vtysh(w, "configure terminal", "router bgp 64512", "neighbor 192.0.2.1 shutdown")
			all("absent:  SessionDown", "router:  SessionDown")
			w.router.Vtysh(w, "configure terminal", "router bgp 64512", "no neighbor 192.0.2.1 shutdown")
			all("absent:  SessionDown", "router: ADDRESS")

			before := w.statuses()
			stop()
			w.startSpeaker()
			w.service("one-more", "198.51.100.98")
			frrtest.Eventually(w, frrtest.Patience, func() error {
				return wasSent(w.statuses()["one-more"], "absent:  SessionDown", "router: 198.51.100.98")
			})
			for name, now := range w.statuses() {
				if was, ok := before[name]; ok && was.ResourceVersion != now.ResourceVersion {
					t.Errorf("%s was rewritten from %+v to %+v", name, was.Status, now.Status)
				}
			}
		})
	}
}

func TestGivenARunningSpeakerWhenItsPortsAreAskedThenTheyTellTheTruthToThoseWhoMayKnow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, frrtest.Bookworm)
	w.registry = metrics.Registry // the one that is served
	folder := t.TempDir()
	authority := certificate(t, folder, 1)
	w.startSpeaker(func(o *Options) { o.CertDir = folder })
	w.configure()
	w.router.AwaitSession(w, "192.0.2.1") // only then does it count how long a route takes
	w.service("web", "198.51.100.1")
	w.awaitRoute("198.51.100.1", true)
	for _, path := range []string{"healthz", "readyz"} {
		frrtest.Eventually(w, frrtest.Patience, func() error {
			if code, body, err := w.get(fmt.Sprintf("http://127.0.0.1:%d/%s", w.health, path), ""); err != nil || code != 200 {
				return fmt.Errorf("%s gives %d %q, %w", path, code, body, err)
			}
			return nil
		})
	}
	metrics := fmt.Sprintf("https://127.0.0.1:%d/metrics", w.metrics)
	if code, _, err := w.get(metrics, ""); err != nil || code != 401 {
		t.Errorf("metrics for anybody: %d, %v, want 401", code, err)
	}
	token := w.scraper()
	frrtest.Eventually(w, frrtest.Patience, func() error {
		code, body, err := w.get(metrics, token)
		if err != nil || code != 200 {
			return fmt.Errorf("metrics give %d %q, %w", code, body, err)
		}
		for _, line := range []string{
			`metallb_bgp_session_up{peer="192.0.2.2:179",vrf="default"} 1`,
			`metallb_bgp_announced_prefixes_total{peer="192.0.2.2:179",vrf="default"} 1`,
			`metallb_speaker_announced{ip="198.51.100.1",node="node1",protocol="bgp",service="default/web"} 1`,
			`metallb_k8s_client_config_loaded_bool 1`, `metallb_k8s_client_config_stale_bool 0`,
			`metallb_speaker_frr_up 1`, `metallb_speaker_apply_duration_seconds_count{kind="delta"}`,
			"\nmetallb_bgp_endpoint_to_peer_seconds_count 1\n",
			"\nprocess_resident_memory_bytes ", "\ngo_goroutines ", "\ngo_memstats_alloc_bytes_total ", "\nrest_client_requests_total{",
		} {
			if !strings.Contains(body, line) {
				return fmt.Errorf("metrics lack %s", line)
			}
		}
		return nil
	})
	w.scraped(t, token, folder, authority)
}

func TestGivenAnnouncedServicesWhenTheSpeakerRestartsThenNothingChangesAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, frrtest.Bookworm)
	stop := w.startSpeaker()
	w.configure()
	w.router.AwaitSession(w, "192.0.2.1")
	for i := range 20 {
		w.service(fmt.Sprintf("web-%d", i), fmt.Sprintf("198.51.100.%d", i+1))
	}
	w.awaitRoute("198.51.100.20", true)
	frrtest.Eventually(w, frrtest.Patience, func() error {
		reported := 0
		for _, o := range w.statuses() {
			reported += len(o.Status.Peers)
		}
		if reported != 20 {
			return fmt.Errorf("%d Services are reported, want 20", reported)
		}
		return nil
	})
	w.awaitState(isValid)
	stop()
	before, running := w.statuses(), w.node.Vtysh(w, "show running-config")
	if n := len(w.router.Prefixes(w)); n != 20 {
		t.Fatalf("without speaker the router has %d routes, want all 20", n)
	}

	w.startSpeaker()
	frrtest.Eventually(w, frrtest.Patience, func() error {
		status, err := w.reloader.Status(w.Context())
		if err != nil {
			return err
		}
		if status.LastAck == nil || status.LastAck.How != frr.Unchanged {
			return fmt.Errorf("the last configuration was applied as %+v, want it unchanged", status.LastAck)
		}
		return nil
	})
	w.service("one-more", "198.51.100.99")
	w.awaitRoute("198.51.100.99", true)
	if err := w.Delete(w.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "one-more"}}); err != nil {
		t.Fatal(err)
	}
	w.awaitRoute("198.51.100.99", false)
	frrtest.Eventually(w, frrtest.Patience, func() error {
		after := w.statuses()
		for name, o := range before {
			if now := after[name]; now.Name != o.Name || now.ResourceVersion != o.ResourceVersion {
				t.Fatalf("ServiceBGPStatus of %s was %s at version %s, is %s at %s", name, o.Name, o.ResourceVersion, now.Name, now.ResourceVersion)
			}
		}
		if len(after) != len(before) {
			return fmt.Errorf("%d ServiceBGPStatus, want %d", len(after), len(before))
		}
		return nil
	})
	if now := w.node.Vtysh(w, "show running-config"); now != running {
		t.Errorf("FRR's configuration was\n%s\nand is\n%s", running, now)
	}
	if got := w.router.Session(w, "192.0.2.1"); got.Established != 1 {
		t.Errorf("the session came up %d times, want once", got.Established)
	}
}

func TestGivenARunningSpeakerWhenTheControllerAsksForAddressesThenItAnswersForItsNodeOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, frrtest.Bookworm)
	w.startSpeaker()
	w.configure()
	for name, of := range map[string]string{"elsewhere": "node2", "here": "node1"} {
		w.create(&v1beta1.AddressProbe{ObjectMeta: named(name), Spec: v1beta1.AddressProbeSpec{Node: of, Addresses: []string{"127.0.0.1", "203.0.113.99"}}})
	}
	get := func(name string) (o v1beta1.AddressProbe) {
		if err := w.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	frrtest.Eventually(w, frrtest.Patience, func() error {
		s := get("here").Status
		if s.CompletedAt == nil || len(s.Results) != 2 || s.Results[0].State != v1beta1.AddressProbeInUse || s.Results[1].State != v1beta1.AddressProbeNotOnLink {
			return fmt.Errorf("the answer is %+v, want InUse and NotOnLink", s)
		}
		return nil
	})
	if s := get("elsewhere").Status; s.CompletedAt != nil {
		t.Errorf("another node's question is answered: %+v", s)
	}
}

func TestGivenADefinitionThatIsMissingWhenTheSpeakerStartsThenItAnnouncesNevertheless(t *testing.T) {
	t.Parallel()
	w := newWorld(t, frrtest.Bookworm)
	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "addressprobes.metallb.io"}}
	if err := w.Delete(w.Context(), definition); err != nil {
		t.Fatal(err)
	}
	frrtest.Eventually(w, frrtest.Patience, func() error {
		if err := w.List(w.Context(), &v1beta1.AddressProbeList{}); err == nil {
			return errors.New("AddressProbes are still served")
		}
		return nil
	})
	w.startSpeaker()
	w.configure()
	w.router.AwaitSession(w, "192.0.2.1")
	w.service("web", "198.51.100.1")
	w.awaitRoute("198.51.100.1", true)
	w.awaitState(isValid)
}

func TestGivenBadObjectsWhenTheyComeThenOnlyTheyAreLeftOutAndReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t, frrtest.Bookworm)
	w.startSpeaker()
	w.configure()
	w.service("web", "198.51.100.1")
	w.router.AwaitSession(w, "192.0.2.1")
	w.awaitRoute("198.51.100.1", true)
	w.create(&v1beta1.IPAddressPool{ObjectMeta: named("wrong"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"198.51.100.128/25"}}})
	w.create(&v1beta2.BGPPeer{ObjectMeta: named("secretive"), Spec: v1beta2.BGPPeerSpec{MyASN: 64500, PeerASN: 64513, PeerAddress: "192.0.2.3",
		PasswordSecret: corev1.SecretReference{Name: "missing"}}})
	w.awaitState(func(s v1beta1.ConfigurationStateStatus) error {
		for _, text := range []string{"IPAddressPool " + namespace + "/wrong", "198.51.100.128-198.51.100.255", "BGPPeer " + namespace + "/secretive", "missing"} {
			if s.Result != v1beta1.ConfigurationInvalid || !strings.Contains(s.ErrorSummary, text) {
				return fmt.Errorf("ConfigurationState is %+v, want Invalid and %q", s, text)
			}
		}
		if err := inForce(s, "BGPAdvertisement all 1", "BGPPeer router 1"); err != nil {
			return err
		}
		return programmed(s, metav1.ConditionTrue, v1beta1.ReasonProgrammed, "") // FRR runs all that is valid
	})
	w.service("late", "198.51.100.2")
	w.awaitRoute("198.51.100.2", true)
	w.awaitRoute("198.51.100.1", true)
	w.create(&corev1.Secret{ObjectMeta: named("missing"), Type: corev1.SecretTypeBasicAuth, StringData: map[string]string{"username": "", "password": "geheim"}})
	frrtest.Eventually(w, frrtest.Patience, func() error {
		if conf := w.node.Vtysh(w, "show running-config"); !strings.Contains(conf, "neighbor 192.0.2.3 password geheim") {
			return errors.New("FRR does not have the password from the Secret")
		}
		return nil
	})
	w.awaitState(func(s v1beta1.ConfigurationStateStatus) error {
		return inForce(s, "BGPAdvertisement all 1", "BGPPeer router 1", "BGPPeer secretive 1")
	})
}

func TestGivenAPeerThatFRRRefusesWhenItComesThenItsWordsAreReportedAndServicesGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, frrtest.Bookworm)
	const words = "% No such luck"
	w.refuseNeighbor("192.0.2.66", words)
	w.startSpeaker()
	w.configure()
	w.service("web", "198.51.100.1")
	w.router.AwaitSession(w, "192.0.2.1")
	w.awaitRoute("198.51.100.1", true)
	unwanted := &v1beta2.BGPPeer{ObjectMeta: named("unwanted"), Spec: v1beta2.BGPPeerSpec{MyASN: 64500, PeerASN: 64513, PeerAddress: "192.0.2.66"}}
	w.create(unwanted)
	w.awaitState(func(s v1beta1.ConfigurationStateStatus) error {
		if s.Result != v1beta1.ConfigurationInvalid || !strings.Contains(s.ErrorSummary, words) || !strings.Contains(s.ErrorSummary, "line 9") {
			return fmt.Errorf("ConfigurationState is %+v, want Invalid, FRR's words and the line", s)
		}
		if err := inForce(s, "BGPAdvertisement all 1", "BGPPeer router 1"); err != nil {
			return err
		}
		return programmed(s, metav1.ConditionFalse, v1beta1.ReasonApplyFailed, words)
	})
	w.service("late", "198.51.100.2")
	w.awaitRoute("198.51.100.2", true)
	if err := w.Delete(w.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}); err != nil {
		t.Fatal(err)
	}
	w.awaitRoute("198.51.100.1", false)
	if err := w.Delete(w.Context(), unwanted); err != nil {
		t.Fatal(err)
	}
	w.awaitState(isValid)
	w.awaitState(func(s v1beta1.ConfigurationStateStatus) error {
		return programmed(s, metav1.ConditionTrue, v1beta1.ReasonProgrammed, "")
	})
	if got := w.router.Session(w, "192.0.2.1"); got.Established != 1 {
		t.Errorf("the session came up %d times, want once", got.Established)
	}
}

// inForce checks which objects a speaker says are in force, each as "kind name generation".
func inForce(s v1beta1.ConfigurationStateStatus, want ...string) error {
	var have []string
	for _, o := range s.Objects {
		have = append(have, fmt.Sprintf("%s %s %d", o.Kind, o.Name, o.Generation))
	}
	if !slices.Equal(have, want) {
		return fmt.Errorf("in force is %q, want %q", have, want)
	}
	return nil
}

// programmed checks the condition of that type, and that its message has the text.
func programmed(s v1beta1.ConfigurationStateStatus, status metav1.ConditionStatus, reason, text string) error {
	c := meta.FindStatusCondition(s.Conditions, v1beta1.ConditionProgrammed)
	if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, text) {
		return fmt.Errorf("condition Programmed is %+v, want %s, %s, %q", c, status, reason, text)
	}
	return nil
}

func TestGivenAnnouncedServicesWhenTheAPIGoesAwayThenTheyStayAlsoOverARestartOfTheSpeaker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, frrtest.Bookworm)
	stop := w.startSpeaker()
	w.configure()
	w.service("web", "198.51.100.1")
	w.router.AwaitSession(w, "192.0.2.1")
	w.awaitRoute("198.51.100.1", true)
	running := w.node.Vtysh(w, "show running-config")
	if err := w.server.Stop(); err != nil {
		t.Fatal(err)
	}
	stays := func(d time.Duration) {
		t.Helper()
		for end := time.Now().Add(d); time.Now().Before(end); {
			w.awaitRoute("198.51.100.1", true)
			if now := w.node.Vtysh(w, "show running-config"); now != running {
				t.Fatalf("FRR's configuration was\n%s\nand is\n%s", running, now)
			}
		}
	}
	stays(3 * time.Second)
	stop()
	w.startSpeaker()
	frrtest.Eventually(w, frrtest.Patience, func() error {
		code, _, err := w.get(fmt.Sprintf("http://127.0.0.1:%d/readyz", w.health), "")
		if err != nil || code != 500 {
			return fmt.Errorf("readyz gives %d, %w, want 500 without API", code, err)
		}
		return nil
	})
	stays(3 * time.Second)
	if got := w.router.Session(w, "192.0.2.1"); got.Established != 1 {
		t.Errorf("the session came up %d times, want once", got.Established)
	}
}
