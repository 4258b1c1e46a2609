public import GRDB
public import Logging
public import ServiceLifecycle
public import Wire

/// Delivers a service's audit events to the operations service, oldest first, until each was taken: at least once.
public struct AuditSender: Service {
  private let writer: any DatabaseWriter
  private let client: RESTClient
  private let logger: Logger
  private let pause: Double

  /// - Parameters:
  ///   - service: whose events they are; `key` signs its tokens.
  ///   - pause: seconds between two looks at the outbox, and the first wait after a failure.
  /// - Throws: `ConfigurationError` for an address that cannot be used.
  public init(
    service: String, key: AgentKey, operations: RESTClient.Endpoint, writer: any DatabaseWriter, logger: Logger,
    pause: Double = 1
  ) throws {
    (self.writer, self.logger, self.pause) = (writer, logger, pause)
    let issuer = ServiceTokenIssuer(name: service, key: key)
    client = try RESTClient(name: "operations", endpoint: operations) {
      "Bearer " + (try issuer.token(for: "operations", tenant: "*"))
    }
  }

  public func run() async throws {
    await cancelWhenGracefulShutdown {
      var failures = 0
      while !Task.isCancelled {
        do {
          while try await deliver() {}
          failures = 0
        } catch {
          if Task.isCancelled { return }
          failures += 1
          logger.warning(
            "audit events wait", metadata: ["attempt": "\(failures)", "error": "\(error)"])
        }
        let wait = min(pause * Double(1 << min(failures, 10)), max(pause, 30))
        do { try await Task.sleep(for: .seconds(wait)) } catch { return }
      }
    }
  }

  /// One delivery; false where there is nothing more.
  private func deliver() async throws -> Bool {
    let waiting = try await writer.read { try AuditOutbox.oldest($0, limit: AuditAPI.Delivery.most) }
    guard !waiting.isEmpty else { return false }
    try await client.post("/v1/audit/events", AuditAPI.Delivery(events: waiting.map(\.event)))
    let numbers = waiting.map(\.number)
    try await writer.write { try AuditOutbox.remove(numbers, $0) }
    return waiting.count == AuditAPI.Delivery.most
  }
}

extension MetricRegistry {
  /// How many audit events a service has still to deliver.
  public func gaugeAuditOutbox(of reader: any DatabaseReader) {
    gauge("godwit_audit_outbox_events", "Audit events that are not delivered yet.") {
      guard let count = try? await reader.read({ try AuditOutbox.count($0) }) else { return [] }
      return [([:], Double(count))]
    }
  }
}
