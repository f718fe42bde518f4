// Command echo is the workload of demonstrations and tests: an HTTP server that says who answered and whom it sees as
// client. Its answer is one line of name=value pairs.
package main

import (
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
	server := &http.Server{Addr: address, Handler: answer(host, os.Getenv("NODE")), ReadHeaderTimeout: 10 * time.Second}
	log.Printf("listening on %s", address)
	log.Fatal(server.ListenAndServe())
}

// answer names the pod (host), its node, the client's address and port, and this server's own addresses.
func answer(host, node string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addresses, err := net.InterfaceAddrs()
		if err != nil {
			http.Error(w, "read own addresses: "+err.Error(), http.StatusInternalServerError)
			return
		}
		var own []string
		for _, a := range addresses {
			own = append(own, a.String())
		}
		fmt.Fprintf(w, "host=%s node=%s remote=%s addresses=%s\n", host, node, r.RemoteAddr, strings.Join(own, ","))
	})
}
