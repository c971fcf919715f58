// Servers whose speed is predicted: stated figures, none measured here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bench/kernel_rates.h"

namespace mlad {

/// Sockets of equal nodes. Every figure is what mlad's workers get, not what is
/// printed on the box: the shares that are reached are part of the machine.
struct NumaMachine {
  std::string name;
  int sockets = 1;
  int nodes_per_socket = 1;
  int cores_per_socket = 1;
  double memory_bytes_per_s = 0;  // of a socket, reached when reading
  double link_bytes_per_s = 0;    // between two sockets, one direction, reached
  double local_latency_s = 0;     // of a line from the socket's own memory
  double far_latency_s = 0;       // ... from the other socket's
  double handoff_s = 0;           // a cache line between cores of a socket
  double l3_handoff_s = 0;        // ... of cores under one L3
  double far_handoff_s = 0;       // ... of different sockets
  int cores_per_l3 = 1;
  double core_speed = 1;  // at arithmetic, against the core that was measured

  int nodes() const { return sockets * nodes_per_socket; }
  int cores_per_node() const { return cores_per_socket / nodes_per_socket; }
  double node_memory_bytes_per_s() const {
    return memory_bytes_per_s / nodes_per_socket;
  }
  /// The same machine with some of its sockets only.
  NumaMachine WithSockets(int count) const;
};

/// What a published machine is, before the shares of it that are reached.
struct MachineFacts {
  std::string_view name;
  int cores_per_socket;
  int cores_per_l3;
  double memory_gb_s;           // channels * transfers * 8 bytes
  double reached;               // share of it that reading reaches
  double link_gb_s;             // all links, one direction
  double clock_ghz;             // that all cores hold
  double arithmetic_per_clock;  // of the vector units, against Zen 5's
  double local_ns, far_ns;      // latency of memory
  double l3_handoff_ns, handoff_ns, far_handoff_ns;
};

/// Share of the links' bandwidth that reading reaches: assumed.
inline constexpr double kLinkReached = 0.7;

/// The dual-socket servers of the comparison.
const std::vector<MachineFacts>& ServerFacts();

/// A server of `sockets` with `nodes_per_socket` nodes (NPS) each; its core's
/// speed is the clock's and the vector units' against the measured core.
NumaMachine MakeServer(const MachineFacts& facts, int nodes_per_socket,
                       const MeasuredRates& measured);

/// The machine that was measured, as one socket of one node.
NumaMachine ThisMachine(const MeasuredRates& measured);

}  // namespace mlad
