import Client
import FoundationEssentials
import Machines
import Wire

/// A launch as people read it.
enum LaunchText {
  static func text(_ launch: MigrationAPI.Launch) -> String {
    var lines = ["\(launch.kind.rawValue) of point \(launch.point): \(launch.state.rawValue)"]
    if let repair = launch.repair {
      lines.append("  repair: \(repair.verdict.rawValue), \(repair.edits.count) edits")
      lines += repair.edits.map { "    \($0.action.rawValue) \($0.path): \($0.reason)" }
      lines += repair.problems.map { "    \($0.message) \($0.remedy)" }
    }
    if let proof = launch.proof {
      lines.append("  proof: \(proof.passed ? "passed" : "failed"), \(proof.verdict)")
      let tail = proof.console.split(separator: "\n").suffix(8)
      lines += tail.map { "    | " + String($0.filter { !$0.unicodeScalars.contains { $0.value < 32 } }) }
    }
    lines += launch.forwards.map { "  port \($0.guestPort) is reached at \($0.address)" }
    if let expires = launch.expiresAt { lines.append("  removed at \(Instant.text(expires))") }
    return lines.joined(separator: "\n")
  }
}

/// Instants for people: UTC, to the second.
enum Instant {
  static func text(_ seconds: Int) -> String { Date(timeIntervalSince1970: TimeInterval(seconds)).ISO8601Format() }
}
