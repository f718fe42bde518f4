// Package service gives addresses to Services of type LoadBalancer: it keeps the ledger, has ipam decide, and writes the outcome to the
// Services' status.
//
// One worker owns the ledger, so that decisions follow one another and an address is never given twice. The writes happen beside it, many
// at a time but one per Service, because an API server answers one request in milliseconds and a thousand almost as fast. What has been
// decided counts from that moment on: the ledger assumes that a write happens until the API shows otherwise, and an address that a Service
// gives up goes to nobody else before the API has stopped showing it there.
package service
