package olm

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/seed-551707bd/metallb-operator/config/olm"
)

// patience bounds every wait of these tests.
const patience = 2 * time.Minute

// Given both forms of the catalog, when opm serves them, then whoever asks for the package of the users' Subscriptions gets the channel "stable" with the newest
// version at its head.
func TestCatalogServed(t *testing.T) {
	opm, _ := tools(t)
	p, bundles := load(t)
	for name, form := range map[string]olm.Form{"by image": olm.ByImage, "inline": olm.Inline} {
		t.Run(name, func(t *testing.T) {
			text, err := p.Catalog(bundles, form)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "catalog.yaml"), text, 0o600); err != nil {
				t.Fatal(err)
			}
			port := freePort(t)
			served, err := Serve(t.Context(), opm, dir, t.TempDir(), port)
			if err != nil {
				t.Fatal(err)
			}
			got, err := head(t, port, "metallb-operator")
			words := served.Stop()
			if err != nil {
				t.Fatalf("%v; opm said: %s", err, words)
			}
			want := []string{"package metallb-operator", "channel stable metallb-operator.v" + p.Versions[len(p.Versions)-1].Version, "default stable"}
			if !slices.Equal(got, want) {
				t.Errorf("served are %q: wanted %q", got, want)
			}
		})
	}
}

// head asks a catalog for a package, as OLM does (api.Registry/GetPackage of operator-registry; its messages are read field by field, so that the project
// need not depend on it).
func head(t *testing.T, port int, name string) ([]string, error) {
	t.Helper()
	connection, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, answer := &emptypb.Empty{}, &emptypb.Empty{}
	request.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name))
	if err := connection.Invoke(ctx, "/api.Registry/GetPackage", request, answer, grpc.WaitForReady(true)); err != nil {
		return nil, err
	}
	var lines []string
	for number, value := range fields(t, answer.ProtoReflect().GetUnknown()) {
		switch number {
		case 1:
			lines = append(lines, "package "+string(value))
		case 2:
			words := []string{"channel"}
			for _, part := range fields(t, value) {
				words = append(words, string(part))
			}
			lines = append(lines, strings.Join(words, " "))
		case 3:
			lines = append(lines, "default "+string(value))
		default: // later fields
		}
	}
	return lines, nil
}

// fields are those of a message that are strings or messages, in their order.
func fields(t *testing.T, message []byte) func(yield func(protowire.Number, []byte) bool) {
	t.Helper()
	return func(yield func(protowire.Number, []byte) bool) {
		for len(message) > 0 {
			number, kind, n := protowire.ConsumeTag(message)
			if n < 0 || kind != protowire.BytesType {
				t.Fatalf("field %d is of type %d, error %v", number, kind, protowire.ParseError(n))
			}
			message = message[n:]
			value, n := protowire.ConsumeBytes(message)
			if n < 0 {
				t.Fatal(protowire.ParseError(n))
			}
			message = message[n:]
			if !yield(number, value) {
				return
			}
		}
	}
}

// freePort is a port of this machine that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
