#include "bench/numa_model.h"

#include <algorithm>

#include "base/status.h"
#include "numa/barrier.h"

namespace mlad {
namespace {

/// The times of one node's part of a stage on a machine.
class NodeTimes {
 public:
  NodeTimes(const NumaMachine& machine, const KernelRates& rates)
      : machine_(machine), rates_(rates) {
    const double others = machine.nodes() - 1;
    if (machine.sockets > 1 && others > 0) {
      cross_share_ = (machine.nodes() - machine.nodes_per_socket) / others;
    }
    slowdown_ = machine.far_latency_s / machine.local_latency_s;
  }

  double Kernels(const NodeWork& work) const {
    const double all = work.memory_bytes + work.far_memory_bytes;
    const double crossing =
        all == 0 ? 0 : work.far_memory_bytes / all * cross_share_;
    // A core has so many lines on their way at a time: twice the latency, half
    // the rate. Faster arithmetic does not make memory faster.
    const double stream = work.stream_s / std::min(machine_.core_speed, 1.0) *
                          (1 + crossing * (slowdown_ - 1));
    const double worker = stream + work.compute_s / machine_.core_speed;
    // Other nodes read from this one as much as it reads from them.
    const double memory = all / machine_.node_memory_bytes_per_s();
    return std::max({worker, memory, LinkSeconds(work)});
  }

  /// What the busiest worker fetches before it can work.
  double Gathers(const NodeWork& work, int node) const {
    const bool first_is_across = node / machine_.nodes_per_socket > 0;
    const double crossing = (first_is_across ? work.first_bytes : 0) +
                            work.spread_bytes * cross_share_;
    const double within =
        work.near_bytes + work.first_bytes + work.spread_bytes - crossing;
    double seconds = within / rates_.read_bytes_per_s +
                     crossing / rates_.read_bytes_per_s * slowdown_;
    if (crossing > 0) seconds += machine_.far_latency_s;
    return seconds;
  }

 private:
  /// All nodes of the socket use its links as this one does.
  double LinkSeconds(const NodeWork& work) const {
    const double bytes =
        work.far_memory_bytes * cross_share_ * machine_.nodes_per_socket;
    return bytes == 0 ? 0 : bytes / machine_.link_bytes_per_s;
  }

  const NumaMachine& machine_;
  const KernelRates& rates_;
  double cross_share_ = 0;  // of what is spread over all other nodes
  double slowdown_ = 1;
};

/// Every page of weights and cache on any node, as likely as on the others.
void Interleave(std::vector<StageWork>& stages) {
  for (StageWork& stage : stages) {
    const double own = 1 / static_cast<double>(stage.nodes.size());
    for (NodeWork& work : stage.nodes) {
      const double all = work.memory_bytes + work.far_memory_bytes;
      work.memory_bytes = all * own;
      work.far_memory_bytes = all * (1 - own);
      work.remote_bytes += work.local_bytes * (1 - own);
      work.local_bytes *= own;
    }
  }
}

bool IsAttention(const std::string& stage) {
  return stage == "absorb_queries" || stage == "absorbed_attention" ||
         stage == "merge_own_lanes" || stage == "finish_heads";
}

DecodeCase MakeCase(const NumaMachine& machine, const ModelledStep& step) {
  DecodeCase c;
  c.shape = step.shape;
  c.types = step.types;
  c.kv_type = step.kv_type;
  c.nodes = machine.nodes();
  c.workers = machine.cores_per_node();
  c.batch = step.batch;
  c.depth = step.depth;
  c.attention = step.attention;
  if (step.layout == MemoryLayout::kWhole) c.experts = MoePlacement::kWhole;
  if (step.layout == MemoryLayout::kMirrored) {
    c.attention = AttentionSplit::kHeadsMirrored;
  } else if (step.layout == MemoryLayout::kInterleaved) {
    c.attention = AttentionSplit::kHeads;
  }
  return c;
}

}  // namespace

std::string_view MemoryLayoutName(MemoryLayout layout) {
  switch (layout) {
    case MemoryLayout::kInterleaved:
      return "interleaved";
    case MemoryLayout::kMirrored:
      return "mirrored";
    case MemoryLayout::kSliced:
      return "sliced";
    case MemoryLayout::kWhole:
      break;
  }
  return "whole";
}

double BarrierSeconds(const NumaMachine& machine, SyncScope scope,
                      const MeasuredRates& measured) {
  // What was measured, less the handoffs in it: its cores arrive one after the
  // other, then the line goes back to them.
  const double instructions = std::max(
      0.0, measured.node_barrier_s - measured.cores * measured.handoff_s);
  const int workers = machine.cores_per_node();
  const int of_a_group =
      std::min({workers, machine.cores_per_l3, kMostWorkersAtAGate});
  const int groups = (workers + of_a_group - 1) / of_a_group;
  // The last one to arrive at a gate opens it to the others: a handoff.
  const double group = of_a_group * machine.l3_handoff_s;
  const double node = groups == 1 ? 0 : groups * machine.handoff_s;
  const double own_node = instructions + group + node;
  if (scope == SyncScope::kOwnNode) return own_node;
  // The last worker of each node counts itself at the machine's gate and is
  // let through by the last of all.
  const int across = machine.nodes() - machine.nodes_per_socket;
  const int within = machine.nodes_per_socket - 1;
  return own_node +
         2 * (across * machine.far_handoff_s + within * machine.handoff_s);
}

absl::StatusOr<PredictedStep> PredictStep(const NumaMachine& machine,
                                          const MeasuredRates& measured,
                                          const ModelledStep& step) {
  MLAD_ASSIGN_OR_RETURN(std::vector<StageWork> stages,
                        DecodeWork(MakeCase(machine, step), measured.core));
  if (step.layout == MemoryLayout::kInterleaved) Interleave(stages);
  const NodeTimes times(machine, measured.core);
  PredictedStep result;
  for (const StageWork& stage : stages) {
    double kernels = 0, slowest = 0;
    const auto repeats = static_cast<double>(stage.times);
    for (size_t n = 0; n < stage.nodes.size(); ++n) {
      const NodeWork& work = stage.nodes[n];
      const double own = times.Kernels(work);
      const double gathers = times.Gathers(work, static_cast<int>(n));
      if (own + gathers >= slowest) {
        slowest = own + gathers;
        kernels = own;
      }
      result.local_bytes += repeats * work.local_bytes;
      result.remote_bytes += repeats * work.remote_bytes;
    }
    result.kernels_s += repeats * kernels;
    result.gathers_s += repeats * (slowest - kernels);
    result.barriers_s += repeats * BarrierSeconds(machine, stage.end, measured);
    result.barriers += stage.times;
    if (IsAttention(stage.name)) result.attention_s += repeats * slowest;
  }
  result.step_s = result.kernels_s + result.gathers_s + result.barriers_s;
  result.tokens_per_s = static_cast<double>(step.batch) / result.step_s;
  return result;
}

std::vector<std::string> ModelAssumptions() {
  return {
      "A step is the engine's stages, one after the other; a stage takes as "
      "long as its slowest node, a node as long as the slowest of its busiest "
      "worker, its memory and its socket's links.",
      "Workers share panels, heads and positions as the engine's static splits "
      "do, rounding included; nothing is stolen.",
      "A worker's kernels run at the rates measured on one core here, matrices "
      "and latents coming from memory. Where a core computes more slowly they "
      "are slower in proportion; where it computes faster, only what does not "
      "come from memory is faster.",
      "Every stage reads its weights and latents from memory: caches keep "
      "nothing from one step to the next, and a node's workers together read "
      "a latent from memory once.",
      "What a stage gathers from other cores comes at a core's rate of reading "
      "memory, before the kernels start; from the other socket at that rate "
      "times local over far latency, plus one far latency.",
      "Workers arrive at a barrier all at once, and at a gate one after the "
      "other (cautious); they leave it together (bold).",
      "Routing is uniform. `whole` experts have no replicas.",
      "interleaved: mlad's own kernels, splits and barriers, heads split over "
      "the nodes, but every page of weights and cache on any node. mirrored: "
      "the same with a copy of weights and cache for every node, so nothing "
      "but "
      "activations crosses; twice the memory.",
      "The second socket's gain is against one socket of the same machine, its "
      "nodes used as mlad does (sliced).",
      "No thermal or power limits beyond the stated clock, no page faults, no "
      "other programs; sampling, tokenizer and network are left out.",
  };
}

}  // namespace mlad
