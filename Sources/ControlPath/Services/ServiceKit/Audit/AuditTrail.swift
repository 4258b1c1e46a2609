public import GRDB
import Synchronization
import Wire

/// The audit event of the request that is handled: becomes part of the first transaction that `audited` makes.
final class AuditTrail: Sendable {
  @TaskLocal static var current: AuditTrail?

  private struct State {
    var event: AuditEvent
    var isKept = false
  }
  /// A request's handler may write from several tasks, hence the lock.
  private let state: Mutex<State>

  init(_ event: AuditEvent) { state = Mutex(State(event: event)) }

  var event: AuditEvent { state.withLock { $0.event } }
  var isKept: Bool { state.withLock { $0.isKept } }
  func keep() { state.withLock { $0.isKept = true } }

  func name(_ subject: AuditSubject) {
    state.withLock { ($0.event.tenant, $0.event.object) = (subject.tenant, subject.object) }
  }
}

/// What an event is about, as its transaction knows it.
public struct AuditSubject: Hashable, Sendable {
  public var tenant: String
  public var object: String
  public init(tenant: String, object: String) { (self.tenant, self.object) = (tenant, object) }
}

extension DatabaseWriter {
  /// One IMMEDIATE transaction; while a request is handled that changes something, its audit event is part of it.
  /// - Parameter subject: what the transaction's value says the event is about.
  public func audited<Value: Sendable>(
    subject: @escaping @Sendable (Value) -> AuditSubject? = { _ in nil },
    _ body: @escaping @Sendable (GRDB.Database) throws -> Value
  ) async throws -> Value {
    guard let trail = AuditTrail.current, !trail.isKept else { return try await write(body) }
    let value = try await write { database in
      let value = try body(database)
      if let subject = subject(value) { trail.name(subject) }
      try AuditOutbox.add(trail.event, database)
      return value
    }
    trail.keep()
    return value
  }
}
