public import GRDB
import Synchronization
import Wire

/// The audit event of the request that is handled: becomes part of the first transaction that `audited` makes.
final class AuditTrail: Sendable {
  @TaskLocal static var current: AuditTrail?

  private struct State {
    var event: AuditEvent
    /// Further tenants that it concerns.
    var others: [String] = []
    var isKept = false
  }
  /// A request's handler may write from several tasks, hence the lock.
  private let state: Mutex<State>

  init(_ event: AuditEvent) { state = Mutex(State(event: event)) }

  var event: AuditEvent { state.withLock { $0.event } }
  var isKept: Bool { state.withLock { $0.isKept } }
  func keep() { state.withLock { $0.isKept = true } }

  func name(_ subject: AuditSubject) {
    state.withLock { state in
      (state.event.tenant, state.event.object) = (subject.tenant, subject.object)
      (state.event.actor, state.others) = (subject.actor ?? state.event.actor, subject.others)
    }
  }

  /// The event, as it is or as `change` makes it, for each tenant that it concerns.
  func events(_ change: (inout AuditEvent) -> Void = { _ in }) -> [AuditEvent] {
    let (event, others) = state.withLock { ($0.event, $0.others) }
    return ([event.tenant] + others).enumerated().map { index, tenant in
      var copy = event
      copy.tenant = tenant
      if index > 0 { copy.id = Auditor.newID }
      change(&copy)
      return copy
    }
  }
}

/// What an event is about, as its transaction knows it.
public struct AuditSubject: Hashable, Sendable {
  public var tenant: String
  public var object: String
  /// Who asks, where that is found out on the way; nil: as it was.
  public var actor: String?
  /// Further tenants that it concerns; each gets an event of its own.
  public var others: [String]
  public init(tenant: String, object: String, actor: String? = nil, others: [String] = []) {
    (self.tenant, self.object, self.actor, self.others) = (tenant, object, actor, others)
  }

  /// The request that is handled turns out to be about this, whatever becomes of it.
  public func apply() { AuditTrail.current?.name(self) }
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
      try IdempotencyClaim.current?.markChanged(database)
      for event in trail.events() { try AuditOutbox.add(event, database) }
      return value
    }
    trail.keep()
    return value
  }
}
