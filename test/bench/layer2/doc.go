// Package layer2 measures how fast nodes take addresses from each other on layer 2, what clients notice of it, and what it costs, in labs of
// three and five nodes with a client that asks every 10 ms. docs/benchmarks.md says what each figure means. Its benchmarks run with
// "make bench"; they need root.
//
// The switch of the lab hears all ARP and neighbor discovery and has the kernel's time of each frame, by the same clock that the acts are
// timed with.
package layer2
