/// How the tracker's program hangs on the completion of requests, best first.
public enum TrackingRung: String, CaseIterable, Sendable {
  /// On the tracepoint itself, reading the kernel's structures (needs BTF, Linux 5.5).
  case typed = "tp_btf"
  /// On the tracepoint's perf event (needs tracefs). The kernel skips it while another BPF program runs on that CPU;
  /// the counters show when it did.
  case perf = "tracepoint"
}

/// Why one rung does not carry.
struct TrackingRefusal: Error {
  var reason: String
  init(_ reason: String) { self.reason = reason }
}
