/// A way to see the completion of requests, best first. What works is found out by trying, never by versions. Where
/// none does, only a comparison of whole disks can tell what changed.
public enum TrackingRung: String, CaseIterable, Codable, Sendable {
  /// A BPF program on the tracepoint itself, reading the kernel's structures (needs BTF, Linux 5.5).
  case typed = "tp_btf"
  /// A BPF program on the tracepoint's perf event (needs tracefs). The kernel skips it while another BPF program runs on
  /// that CPU; the counters show when it did.
  case perf = "tracepoint"
  /// The kernel's own block tracer, whose records are read continuously (needs debugfs; forbidden under lockdown). Does
  /// not outlive the process.
  case blktrace
}

/// Why one rung does not carry.
struct TrackingRefusal: Error {
  var reason: String
  init(_ reason: String) { self.reason = reason }
}

/// Which rung to try first, by what was seen of them: a rung whose counters proved losses twice comes after those that
/// did better.
struct TrackingLadder: Sendable {
  private var losses: [String: Int] = [:]
  private var lastNoted = ""

  /// All rungs, best first.
  var rungs: [TrackingRung] {
    // Stable: enumeration order decides among equals.
    let ranked = TrackingRung.allCases.enumerated().map { (demotions: demotions($0.element), $0.offset, $0.element) }
    return ranked.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map(\.2)
  }

  private func demotions(_ rung: TrackingRung) -> Int { losses[rung.rawValue, default: 0] / 2 }

  /// Notes that a tracker became void; once for each.
  mutating func note(_ reason: VoidReason, of tracker: any ChangeTracker) {
    if tracker.identity == lastNoted { return }
    lastNoted = tracker.identity
    switch reason {
    case .countersDiffer, .eventsMissed:
      for name in tracker.rung.split(separator: "+") { losses[String(name), default: 0] += 1 }
    case .untrackableWrites, .sizeChanged, .lost, .stopped: break
    }
  }
}
