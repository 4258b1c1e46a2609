public import Foundation

/// Time as the workers see it; tests bring their own.
public struct WorkflowClock: Sendable {
  public var now: @Sendable () -> Date
  /// Sleeps for a number of seconds; throws when cancelled.
  public var sleep: @Sendable (Double) async throws -> Void

  public init(now: @escaping @Sendable () -> Date, sleep: @escaping @Sendable (Double) async throws -> Void) {
    (self.now, self.sleep) = (now, sleep)
  }

  public static let system = WorkflowClock(
    now: { Date() }, sleep: { try await Task.sleep(nanoseconds: UInt64(max(0, $0) * 1e9)) })
}
