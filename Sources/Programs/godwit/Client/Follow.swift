import Client
import FoundationEssentials
import Glibc
import Wire

/// Waits for something to end and shows how it goes: one line that is redrawn on a terminal, else a line per change.
struct Follow {
  private let platform: PlatformClient
  private let quiet: Bool
  private let terminal = isatty(2) == 1

  init(_ platform: PlatformClient, quiet: Bool) { (self.platform, self.quiet) = (platform, quiet) }

  func sync(_ migration: String, _ id: String) async throws -> MigrationAPI.Sync {
    var estimate = ProgressEstimate()
    let clock = ContinuousClock()
    let start = clock.now
    var line = Line(quiet: quiet, terminal: terminal)
    defer { line.end() }
    while true {
      guard let sync = try await platform.syncs(migration).first(where: { $0.id == id }) else {
        throw Problem(
          code: "not_found", status: 404, detail: "The sync \(id) is gone.", remedy: "See 'godwit migrate status'.")
      }
      if let progress = sync.progress {
        estimate.add(progress, now: start.duration(to: clock.now) / .seconds(1))
        line.show("\(sync.mode.rawValue): " + ProgressLine.text(progress, estimate))
      } else {
        line.show("\(sync.mode.rawValue): \(sync.state.rawValue)")
      }
      if [.done, .failed, .cancelled].contains(sync.state) { return sync }
      try await Task.sleep(for: .seconds(1))
    }
  }

  func launch(_ id: String) async throws -> MigrationAPI.Launch {
    var line = Line(quiet: quiet, terminal: terminal)
    defer { line.end() }
    while true {
      let launch = try await platform.launch(id: id)
      line.show("\(launch.kind.rawValue): \(launch.state.rawValue)")
      switch launch.state {
      case .running, .failed, .removed, .stopped, .handedOver: return launch
      case .cloning, .repairing, .starting, .removing: try await Task.sleep(for: .seconds(1))
      }
    }
  }

  /// Waits until everything of a launch is removed.
  func removed(_ id: String) async throws -> MigrationAPI.Launch {
    var line = Line(quiet: quiet, terminal: terminal)
    defer { line.end() }
    while true {
      let launch = try await platform.launch(id: id)
      if launch.state == .removed || launch.state == .failed { return launch }
      line.show("\(launch.kind.rawValue): \(launch.state.rawValue)")
      try await Task.sleep(for: .seconds(1))
    }
  }

  /// Waits for a switch: its final sync, then its launch.
  /// - Parameter known: launches that were there before it was asked for.
  func switched(_ migration: String, known: Set<String>) async throws -> MigrationAPI.Launch {
    var line = Line(quiet: quiet, terminal: terminal)
    while true {
      let now = try await platform.migration(migration)
      let launches = try await platform.launches(migration)
      if let launch = launches.first(where: { $0.kind == .switch && !known.contains($0.id) }) {
        line.end()
        return try await self.launch(launch.id)
      }
      if now.state == .attention, let problem = now.problem {
        line.end()
        throw problem
      }
      line.show("switch: \(now.state.rawValue)")
      try await Task.sleep(for: .seconds(1))
    }
  }

  /// Waits until `done`, or until the platform says that it needs attention.
  func settled(
    _ migration: String, _ done: (MigrationAPI.Migration) -> Bool
  ) async throws -> MigrationAPI.Migration {
    var line = Line(quiet: quiet, terminal: terminal)
    defer { line.end() }
    while true {
      let now = try await platform.migration(migration)
      if done(now) { return now }
      line.show(now.state.rawValue)
      try await Task.sleep(for: .seconds(1))
    }
  }

  /// The line on standard error.
  struct Line {
    let quiet: Bool
    let terminal: Bool
    private var shown = ""

    init(quiet: Bool, terminal: Bool) { (self.quiet, self.terminal) = (quiet, terminal) }

    mutating func show(_ text: String) {
      guard !quiet, text != shown else { return }
      shown = text
      write(terminal ? "\r\u{1B}[K" + text : text + "\n")
    }

    mutating func end() {
      if !quiet, terminal, !shown.isEmpty { write("\n") }
      shown = ""
    }

    private func write(_ text: String) { FileDescriptorOutput.standardError.write(text) }
  }
}

/// Unbuffered text to a descriptor.
struct FileDescriptorOutput {
  static let standardError = FileDescriptorOutput(descriptor: 2)
  let descriptor: Int32

  func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      guard written > 0 else { return }
      bytes = bytes.dropFirst(written)
    }
  }
}
