import FoundationEssentials
import Glibc

/// A process by its id and the moment it started, so that a recycled id is never taken for it.
struct HostProcess: Codable, Hashable, Sendable {
  let pid: pid_t
  /// Clock ticks since boot: field 22 of /proc/PID/stat.
  let startTime: UInt64

  /// The process that has this id now; nil when there is none, or only a zombie.
  init?(pid: pid_t) {
    guard let fields = Self.statFields(pid), fields[0] != "Z", let start = UInt64(fields[19]) else { return nil }
    (self.pid, startTime) = (pid, start)
  }

  /// Whether it still runs.
  var isAlive: Bool { HostProcess(pid: pid) == self }

  /// Seconds it has run for, by the clock that wall-clock changes do not touch.
  var age: Double {
    guard let text = try? String(contentsOfFile: "/proc/uptime", encoding: .utf8),
      let uptime = text.split(separator: " ").first.flatMap({ Double($0) })
    else { return 0 }
    return uptime - Double(startTime) / Double(sysconf(CInt(_SC_CLK_TCK)))
  }

  /// Ends it at once. Does nothing when it is gone.
  func kill() {
    if isAlive { _ = Glibc.kill(pid, SIGKILL) }
  }

  /// Processes that were given exactly this word on their command line.
  static func all(withArgument word: String) -> [HostProcess] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { pid_t($0) }.filter { arguments(of: $0).contains(word) }.compactMap {
      HostProcess(pid: $0)
    }
  }

  private static func arguments(of pid: pid_t) -> [String] {
    guard let bytes = try? Data(contentsOf: URL(filePath: "/proc/\(pid)/cmdline")) else { return [] }
    return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Fields 3 and following of /proc/PID/stat; the second field, the name, may itself hold spaces and brackets.
  private static func statFields(_ pid: pid_t) -> [Substring]? {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let nameEnd = text.lastIndex(of: ")")
    else { return nil }
    let fields = text[text.index(after: nameEnd)...].split(separator: " ")
    return fields.count > 19 ? fields : nil
  }
}
