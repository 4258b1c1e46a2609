import Synchronization

/// Counters, histograms and gauges of one service, in Prometheus' text form 0.0.4. Every name begins with `godwit_`; every
/// label's values must be few (route templates, never paths).
public final class MetricRegistry: Sendable {
  public typealias Labels = KeyValuePairs<String, String>

  /// Upper bounds in seconds; the last ones are for long polls.
  static let buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

  private struct Histogram {
    var counts = [Int](repeating: 0, count: MetricRegistry.buckets.count + 1)
    var sum = 0.0
  }

  private struct Family<Value> {
    var help: String
    var series: [String: Value] = [:]
  }

  private struct Gauge: Sendable {
    var help: String
    var read: @Sendable () async -> [(labels: Labels, value: Double)]
  }

  private struct State {
    var counters: [String: Family<Double>] = [:]
    var histograms: [String: Family<Histogram>] = [:]
    var gauges: [String: Gauge] = [:]
  }

  /// Changed by whoever counts, on any thread, hence the lock; never held while a gauge is read.
  private let state = Mutex(State())

  public init() {}

  public func count(_ name: String, _ help: String, _ labels: Labels, by amount: Double = 1) {
    let (name, series) = (Self.checked(name), Self.text(labels))
    state.withLock { $0.counters[name, default: Family(help: help)].series[series, default: 0] += amount }
  }

  public func observe(_ name: String, _ help: String, _ labels: Labels, seconds: Double) {
    let (name, series) = (Self.checked(name), Self.text(labels))
    let bucket = Self.buckets.firstIndex { seconds <= $0 } ?? Self.buckets.count
    state.withLock { state in
      state.histograms[name, default: Family(help: help)].series[series, default: Histogram()].counts[bucket] += 1
      state.histograms[name]?.series[series]?.sum += seconds
    }
  }

  /// A value that is read when somebody asks.
  public func gauge(
    _ name: String, _ help: String, read: @escaping @Sendable () async -> [(labels: Labels, value: Double)]
  ) {
    state.withLock { $0.gauges[Self.checked(name)] = Gauge(help: help, read: read) }
  }

  private static func checked(_ name: String) -> String {
    precondition(name.hasPrefix("godwit_"), "\(name) does not begin with godwit_")
    return name
  }

  // MARK: Text

  /// What `GET /metrics` answers with.
  public func text() async -> String {
    let (counters, histograms, gauges) = state.withLock { ($0.counters, $0.histograms, $0.gauges) }
    var lines: [String] = []
    for (name, family) in counters.sorted(by: { $0.key < $1.key }) {
      lines += ["# HELP \(name) \(family.help)", "# TYPE \(name) counter"]
      lines += family.series.sorted { $0.key < $1.key }.map { "\(name)\(Self.braces($0.key)) \($0.value)" }
    }
    for (name, gauge) in gauges.sorted(by: { $0.key < $1.key }) {
      lines += ["# HELP \(name) \(gauge.help)", "# TYPE \(name) gauge"]
      lines += await gauge.read().map { "\(name)\(Self.braces(Self.text($0.labels))) \($0.value)" }
    }
    for (name, family) in histograms.sorted(by: { $0.key < $1.key }) {
      lines += ["# HELP \(name) \(family.help)", "# TYPE \(name) histogram"]
      for (labels, histogram) in family.series.sorted(by: { $0.key < $1.key }) {
        lines += Self.lines(name, labels, histogram)
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func lines(_ name: String, _ labels: String, _ histogram: Histogram) -> [String] {
    var (total, lines) = (0, [String]())
    for (bound, count) in zip(buckets.map { "\($0)" } + ["+Inf"], histogram.counts) {
      total += count
      lines.append("\(name)_bucket\(braces((labels.isEmpty ? "" : labels + ",") + "le=\"\(bound)\"")) \(total)")
    }
    return lines + ["\(name)_sum\(braces(labels)) \(histogram.sum)", "\(name)_count\(braces(labels)) \(total)"]
  }

  private static func braces(_ labels: String) -> String { labels.isEmpty ? "" : "{\(labels)}" }

  private static func text(_ labels: Labels) -> String {
    labels.map { label in
      let value = label.value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
      return "\(label.key)=\"\(value)\""
    }.joined(separator: ",")
  }
}
