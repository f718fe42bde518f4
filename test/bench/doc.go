// Package bench measures how fast the product is and what it needs, in a lab of its own: one node, one router, and beside them one
// more FRR that is told its prefixes by hand and shows what FRR alone needs for the same way. docs/benchmarks.md says what each figure
// means. Its benchmarks run with "make bench"; they need root.
//
// All times are read from one clock, in one process: before a request to the API server, when a watch tells of a Service's status, and
// when the router's kernel tells of a route.
package bench
