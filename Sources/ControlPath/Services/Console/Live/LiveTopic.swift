import Client
import ServiceKit
import Wire

/// What a live page looks at.
enum LiveTopic: Hashable, Sendable {
  case sources
  case migrations
  case migration(String)

  /// As in paths: `sources`, `migrations`, `migration-ID`.
  init?(_ text: String) {
    switch text {
    case "sources": self = .sources
    case "migrations": self = .migrations
    default:
      guard text.hasPrefix("migration-"), Identifier.isValid(text) else { return nil }
      self = .migration(String(text.dropFirst(10)))
    }
  }

  /// What one reading leaves for the next: speeds need a before.
  struct Memory: Sendable {
    /// By sync.
    var progress: [String: ProgressMemory] = [:]
    let clock = ContinuousClock()
    let start = ContinuousClock.now
    /// Seconds of a steady clock.
    var now: Double { (ContinuousClock.now - start) / .seconds(1) }
  }

  /// - Parameter peak: the most that was ever shown of a sync.
  func read(_ api: TenantAPI, _ memory: inout Memory, peak: (String, Double) -> Double) async throws
    -> [String: LiveValue]
  {
    switch self {
    case .sources:
      var values: [String: LiveValue] = [:]
      for source in try await api.sources() {
        values["source." + source.id] = .text(source.name)
        values["online." + source.id] = .number(source.online ? 1 : 0)
      }
      return values
    case .migrations:
      var values: [String: LiveValue] = [:]
      for migration in try await api.migrations() {
        values["state." + migration.id] = .text(Self.shape(migration))
        guard let id = migration.activeSync, memory.progress.count < 50 || memory.progress[id] != nil else { continue }
        let sync = try await api.sync(id)
        for (key, value) in memory.progress[id, default: .init()].take(sync, now: memory.now, peak: peak)
        where ["percent", "speed", "remaining"].contains(key) { values["\(key).\(migration.id)"] = value }
      }
      return values
    case .migration(let id): return try await Self.one(id, api, &memory, peak: peak)
    }
  }

  private static func one(
    _ id: String, _ api: TenantAPI, _ memory: inout Memory, peak: (String, Double) -> Double
  ) async throws -> [String: LiveValue] {
    let migration = try await api.migration(id)
    let launches = try await api.launches(id)
    var values: [String: LiveValue] = [:]
    if let active = migration.activeSync {
      let sync = try await api.sync(active)
      values = memory.progress[active, default: .init()].take(sync, now: memory.now, peak: peak)
    }
    values["shape"] = .text(
      ([shape(migration)] + launches.map { "\($0.id):\($0.state.rawValue)" }).joined(separator: " "))
    return values
  }

  /// What a page is built from: when it changes, the page is loaded anew.
  static func shape(_ migration: MigrationAPI.Migration) -> String {
    [
      migration.state.rawValue, migration.paused ? "paused" : "", migration.problem?.code ?? "",
      migration.activeSync ?? "", migration.switchedAt.map(String.init) ?? "",
      migration.lastPointAt.map(String.init) ?? ""
    ].joined(separator: "|")
  }
}
