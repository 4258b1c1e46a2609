import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// An instant at which a crash is interesting: `STEP:WHEN`.
public struct FaultPoint: Hashable, Sendable, CustomStringConvertible {
  public enum When: String, Hashable, Sendable {
    /// A side effect took place; nothing of it is committed yet.
    case effect
    /// The step ran to its end; nothing of it is committed yet.
    case before
    /// The step is committed.
    case after
  }
  public var name: String
  public var when: When
  public init(_ name: String, _ when: When) { (self.name, self.when) = (name, when) }
  public var description: String { "\(name):\(when.rawValue)" }
}

/// Places where a test, or an operator rehearsing a disaster, may kill the process. Off unless asked for by the
/// environment (`fromEnvironment`).
public struct FaultPoints: Sendable {
  /// The worker ends as if it had been killed: nothing is committed, the lease runs out. For tests within one process.
  public struct Abandoned: Error { public init() {} }

  /// `KIND.STEP` that the current task runs; effects are named after it.
  @TaskLocal static var step: String?

  private let visit: @Sendable (FaultPoint) throws -> Void

  /// `visit` may throw `Abandoned`.
  public init(_ visit: @escaping @Sendable (FaultPoint) throws -> Void) { self.visit = visit }

  public static let none = FaultPoints { _ in }

  /// Effects within a step are told apart by it: `sync.volumes/put.volume`.
  public func reach(_ name: String, _ when: FaultPoint.When) throws {
    guard when == .effect, let step = Self.step else { return try visit(FaultPoint(name, when)) }
    try visit(FaultPoint("\(step)/\(name)", when))
  }

  /// - `GODWIT_KILL_AT=NAME:WHEN:COUNT` raises SIGKILL when that point is reached for the COUNTth time by this process.
  /// - `GODWIT_KILL_EACH=FILE` raises SIGKILL at every point that the file does not name yet, having added it: so a
  ///   process that is started again and again is killed once at each point it passes.
  /// - `GODWIT_FAULT_TRACE=FILE` appends every point reached, one a line.
  public static func fromEnvironment(_ environment: [String: String]) -> FaultPoints {
    if let file = environment["GODWIT_KILL_EACH"] { return killingEach(namesIn: file) }
    let killAt = environment["GODWIT_KILL_AT"]
    let trace = environment["GODWIT_FAULT_TRACE"]
    guard killAt != nil || trace != nil else { return .none }
    let counts = Counts()
    return FaultPoints { point in
      let count = counts.increment(point)
      if let trace { append("\(point):\(count)\n", to: trace) }
      if "\(point):\(count)" == killAt { raise(SIGKILL) }
    }
  }

  /// See `GODWIT_KILL_EACH`.
  /// - Parameter prefixes: only points whose names begin with one of these.
  public static func killingEach(namesIn file: String, among prefixes: [String] = [""]) -> FaultPoints {
    let known = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
    let seen = Set(known.split(separator: "\n").map(String.init))
    return FaultPoints { point in
      let name = "\(point)"
      guard !seen.contains(name), prefixes.contains(where: name.hasPrefix) else { return }
      append(name + "\n", to: file)
      raise(SIGKILL)
    }
  }

  /// How often each point was reached; several steps run at once, hence the lock.
  private final class Counts: Sendable {
    private let counts = Mutex<[FaultPoint: Int]>([:])
    func increment(_ point: FaultPoint) -> Int {
      counts.withLock {
        $0[point, default: 0] += 1
        return $0[point, default: 0]
      }
    }
  }

  private static func append(_ line: String, to path: String) {
    let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return }
    _ = line.withCString { write(descriptor, $0, strlen($0)) }
    close(descriptor)
  }
}
