#include "bench/numa_machines.h"

#include <algorithm>

namespace mlad {

NumaMachine NumaMachine::WithSockets(int count) const {
  NumaMachine part = *this;
  part.sockets = count;
  return part;
}

// Memory: 12 channels of DDR5-4800 (EPYC 9004, 460.8 GB/s), of DDR5-6000 (EPYC
// 9005, 576 GB/s), of DDR5-6400 (Xeon 6900P, 614.4 GB/s): AMD's and Intel's
// product pages. Share reached when reading: Chips and Cheese read 99% on
// Turin (AMD's Turin: 5th Gen EPYC Launched) and 691.6 of 844.8 GB/s, 82%, on a
// Xeon 6985P-C (A Look into Intel Xeon 6's Memory Subsystem); 0.85 is taken for
// both EPYCs and 0.82 for the Xeon, since weights are not one long stream.
//
// Links: four xGMI of 16 lanes at 32 GT/s, 512 GB/s both ways (Lenovo Press
// LP1852): 256 GB/s one way. Xeon 6900P: six UPI 2.0 at 24 GT/s (Intel's
// product brief), 2 bytes a transfer as in the generations before: 288 GB/s one
// way. Of both, kLinkReached is assumed.
//
// Clocks: the base clocks of the product pages (2.4, 2.7, 2.0 GHz), which all
// cores hold under any load: cautious where a machine boosts.
//
// Arithmetic a clock: Zen 4 takes two cycles for a 512-bit operation, Zen 5 and
// Redwood Cove one (AMD's and Intel's optimisation guides).
//
// Latencies of memory: about 110 ns local (the same page on Turin) and twice
// that across; assumed alike for all three. A line between cores, there and
// back: 45 ns under one L3, 150 ns in the socket, 260 ns across (same page;
// Genoa is said to be a little faster). One handoff is half of it. Xeon 6: one
// mesh over three dies, taken like Turin's.
const std::vector<MachineFacts>& ServerFacts() {
  static const std::vector<MachineFacts> facts = {
      {"EPYC 9654", 96, 8, 460.8, 0.85, 256, 2.4, 0.5, 110, 220, 22.5, 75, 130},
      {"EPYC 9755", 128, 8, 576, 0.85, 256, 2.7, 1, 110, 220, 22.5, 75, 130},
      {"Xeon 6980P", 128, 128, 614.4, 0.82, 288, 2.0, 1, 110, 220, 75, 75, 130},
  };
  return facts;
}

NumaMachine MakeServer(const MachineFacts& facts, int nodes_per_socket,
                       const MeasuredRates& measured) {
  constexpr double kNano = 1e-9, kGiga = 1e9;
  NumaMachine machine;
  machine.name = std::string("2x ") + std::string(facts.name);
  // Only AMD calls it NPS; with one node per socket there is nothing to say.
  if (nodes_per_socket > 1 || facts.cores_per_l3 < facts.cores_per_socket) {
    machine.name += " NPS" + std::to_string(nodes_per_socket);
  }
  machine.sockets = 2;
  machine.nodes_per_socket = nodes_per_socket;
  machine.cores_per_socket = facts.cores_per_socket;
  machine.memory_bytes_per_s = facts.memory_gb_s * kGiga * facts.reached;
  machine.link_bytes_per_s = facts.link_gb_s * kGiga * kLinkReached;
  machine.local_latency_s = facts.local_ns * kNano;
  machine.far_latency_s = facts.far_ns * kNano;
  machine.l3_handoff_s = facts.l3_handoff_ns * kNano;
  machine.handoff_s = facts.handoff_ns * kNano;
  machine.far_handoff_s = facts.far_handoff_ns * kNano;
  machine.cores_per_l3 = facts.cores_per_l3;
  machine.core_speed =
      facts.clock_ghz * kGiga / measured.clock_hz * facts.arithmetic_per_clock;
  return machine;
}

NumaMachine ThisMachine(const MeasuredRates& measured) {
  NumaMachine machine;
  machine.name = "this machine";
  machine.cores_per_socket = measured.cores;
  machine.cores_per_l3 = measured.cores;
  machine.memory_bytes_per_s = measured.memory_bytes_per_s;
  machine.link_bytes_per_s = measured.memory_bytes_per_s;
  machine.handoff_s = measured.handoff_s;
  machine.l3_handoff_s = measured.handoff_s;
  machine.far_handoff_s = measured.handoff_s;
  machine.local_latency_s = machine.far_latency_s = 1e-7;
  return machine;
}

}  // namespace mlad
