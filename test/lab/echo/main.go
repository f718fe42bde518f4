// Command echo is the workload of demonstrations and tests: an HTTP and UDP server that says who answered and whom it sees as
// client. Its answer is one line of name=value pairs.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	address := ":8080"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	host, err := os.Hostname()
	if err != nil {
		log.Fatalf("read the host name: %v", err)
	}
	node := os.Getenv("NODE")
	packets, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", address)
	if err != nil {
		log.Fatalf("listen for UDP: %v", err)
	}
	go func() { log.Fatal(serveUDP(packets, host, node)) }()
	server := &http.Server{Addr: address, Handler: answer(host, node), ReadHeaderTimeout: 10 * time.Second}
	log.Printf("listening on %s, TCP and UDP", address)
	log.Fatal(server.ListenAndServe())
}

// answer tells HTTP clients.
func answer(host, node string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := line(host, node, r.RemoteAddr)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, text)
	})
}

// serveUDP answers every datagram with one, and returns when conn fails.
func serveUDP(conn net.PacketConn, host, node string) error {
	buffer := make([]byte, 2048)
	for {
		_, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return fmt.Errorf("read a datagram: %w", err)
		}
		text, err := line(host, node, from.String())
		if err != nil {
			text = err.Error()
		}
		if _, err := conn.WriteTo([]byte(text+"\n"), from); err != nil {
			log.Printf("answer %s: %v", from, err) // the next one may reach its client
		}
	}
}

// line names the pod (host), its node, the client's address and port, and this server's own addresses.
func line(host, node, remote string) (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("read own addresses: %w", err)
	}
	var own []string
	for _, a := range addresses {
		own = append(own, a.String())
	}
	return fmt.Sprintf("host=%s node=%s remote=%s addresses=%s", host, node, remote, strings.Join(own, ",")), nil
}
