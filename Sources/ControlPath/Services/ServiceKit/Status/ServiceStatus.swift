import FoundationEssentials
import HTTPTypes
import Hummingbird
public import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import Wire

/// What every service says of itself: `GET /healthz`, `/readyz`, `/version`, `/metrics`, `/openapi.json`.
public final class ServiceStatus: Sendable {
  /// Of the services in this source tree.
  public static let version = "1.0.0"

  public let name: String
  public let metrics: MetricRegistry
  private let checks: [ReadinessCheck]
  private let metricsToken: AdminToken?
  /// Made when somebody asks first.
  private let document = Mutex<ByteBuffer?>(nil)
  private let logger: Logger
  /// The last report and when it was made: so that asking costs little, whoever asks.
  private let last = Mutex<(at: ContinuousClock.Instant, report: Report)?>(nil)
  /// Whether somebody checks just now: the others take his report, or the last one.
  private let isChecking = Mutex(false)

  struct Report: Codable, Hashable {
    struct Part: Codable, Hashable { var name: String, ready: Bool }
    var service: String
    var ready: Bool
    var checks: [Part]
  }

  private struct Version: Codable {
    var service: String
    var version: String
    var api = "v1"
  }

  /// - Parameter metricsToken: what a caller of `/metrics` must show; nil lets everyone who reaches the address read them.
  public init(
    _ name: String, checks: [ReadinessCheck], logger: Logger, metrics: MetricRegistry = MetricRegistry(),
    metricsToken: AdminToken? = nil
  ) {
    (self.name, self.checks, self.logger) = (name, checks, logger)
    (self.metrics, self.metricsToken) = (metrics, metricsToken)
    metrics.gauge("godwit_build_info", "1, for the version in its label.") {
      [(["service": name, "version": Self.version], 1)]
    }
  }

  func add(to router: Router<ServiceContext>) {
    router.get("healthz") { _, _ in HTTPResponse.Status.noContent }
    router.get("readyz") { [self] _, _ in
      let report = await report()
      return try JSONAnswer(report, status: report.ready ? .ok : .serviceUnavailable)
    }
    router.get("version") { [name] _, _ in try JSONAnswer(Version(service: name, version: Self.version)) }
    router.get("metrics") { [self] request, _ in
      if let metricsToken {
        guard let given = request.bearerToken, metricsToken.matches(given) else { throw Problem.tokenRefused }
      }
      return Response(
        status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
        body: .init(byteBuffer: ByteBuffer(string: await metrics.text())))
    }
    router.get("openapi.json") { [self] _, _ in
      Response(
        status: .ok, headers: [.contentType: "application/json"], body: .init(byteBuffer: try openAPI()))
    }
  }

  private func openAPI() throws -> ByteBuffer {
    try document.withLock { document in
      if let document { return document }
      let made = ByteBuffer(bytes: try ServedDocument.json(of: name))
      document = made
      return made
    }
  }

  private func report() async -> Report {
    guard !Task.isShuttingDownGracefully else { return Report(service: name, ready: false, checks: []) }
    if let last = last.withLock({ $0 }), ContinuousClock.now - last.at < .seconds(1) { return last.report }
    while isChecking.withLock({ isChecking in
      defer { isChecking = true }
      return isChecking
    }) {
      if let last = last.withLock({ $0 }), ContinuousClock.now - last.at < .seconds(5) { return last.report }
      do { try await Task.sleep(for: .milliseconds(20)) } catch {
        return Report(service: name, ready: false, checks: [])
      }
    }
    defer { isChecking.withLock { $0 = false } }
    if let last = last.withLock({ $0 }), ContinuousClock.now - last.at < .seconds(1) { return last.report }
    var parts: [Report.Part] = []
    for check in checks {
      do {
        try await check.body()
        parts.append(.init(name: check.name, ready: true))
      } catch {
        logger.warning("not ready", metadata: ["check": "\(check.name)", "error": "\(error)"])
        parts.append(.init(name: check.name, ready: false))
      }
    }
    let report = Report(service: name, ready: parts.allSatisfy(\.ready), checks: parts)
    last.withLock { $0 = (.now, report) }
    return report
  }
}
