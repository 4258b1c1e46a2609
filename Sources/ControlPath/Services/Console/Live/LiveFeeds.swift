import Logging
import ServiceKit
import ServiceLifecycle
import Synchronization
import Wire

/// The feeds that somebody looks at, and what keeps them going.
final class LiveFeeds: Service, Sendable {
  /// A closed one is noticed at the next sign of life only, and every page that is left leaves one.
  static let mostPerPerson = 24
  static let mostPerTenant = 200
  /// The front has to have room for agents and for everything else.
  static let most = HTTPServer.mostConnections / 4
  /// Seconds between readings, and between signs of life and looks whether readers still may.
  private static let (pace, life) = (1, 5)

  private struct Inside {
    var feeds: [LiveFeed.Key: LiveFeed] = [:]
    var people: [String: Int] = [:]
    var tenants: [String: Int] = [:]
    var peaks: [String: Double] = [:]
    var ended = false
  }
  private let inside = Mutex(Inside())
  private let started = AsyncStream.makeStream(of: LiveFeed.self)
  private let logger: Logger

  init(logger: Logger) { self.logger = logger }

  var streams: Int { inside.withLock { $0.tenants.values.reduce(0, +) } }

  /// A part of a sync that was shown never gets smaller, whatever the whole turns out to be.
  /// - Parameter percent: 0...100.
  func peak(_ sync: String, _ percent: Double) -> Double {
    inside.withLock { inside in
      if inside.peaks.count > 10_000 { inside.peaks = [:] }
      let peak = max(inside.peaks[sync] ?? 0, percent)
      inside.peaks[sync] = peak
      return peak
    }
  }

  /// A stream for one reader; `leave` must be called when it is over.
  /// - Throws: `Problem` 429 for too many, 503 at the end.
  func join(_ topic: LiveTopic, _ api: TenantAPI, after lastEventID: String?) throws
    -> (stream: AsyncStream<String>, leave: @Sendable () -> Void)
  {
    let key = LiveFeed.Key(tenant: api.tenant, topic: topic)
    let person = api.person.secret ?? ""
    try inside.withLock { inside in
      try Self.check(inside, person, key.tenant)
      inside.people[person, default: 0] += 1
      inside.tenants[key.tenant, default: 0] += 1
    }
    let leave: @Sendable () -> Void = { [self] in
      inside.withLock { inside in
        Self.less(&inside.people, person)
        Self.less(&inside.tenants, key.tenant)
      }
    }
    do {
      while true {
        let feed = try feed(key)
        guard let (id, stream) = try feed.join(api, after: lastEventID) else {
          forget(feed)
          continue
        }
        return (
          stream,
          {
            feed.leave(id)
            leave()
          }
        )
      }
    } catch {
      leave()
      throw error
    }
  }

  /// One that has ended is nobody's any more.
  private func forget(_ feed: LiveFeed) {
    inside.withLock { inside in
      if inside.feeds[feed.key] === feed { inside.feeds[feed.key] = nil }
    }
  }

  /// - Throws: as `join` would.
  func check(_ api: TenantAPI) throws {
    try inside.withLock { try Self.check($0, api.person.secret ?? "", api.tenant) }
  }

  private static func check(_ inside: Inside, _ person: String, _ tenant: String) throws {
    guard !inside.ended else { throw Problem.stopping }
    guard inside.tenants.values.reduce(0, +) < most, inside.people[person, default: 0] < mostPerPerson,
      inside.tenants[tenant, default: 0] < mostPerTenant
    else {
      throw Problem.tooManyStreams
    }
  }

  private func feed(_ key: LiveFeed.Key) throws -> LiveFeed {
    let (feed, isNew) = try inside.withLock { inside -> (LiveFeed, Bool) in
      guard !inside.ended else { throw Problem.stopping }
      if let found = inside.feeds[key] { return (found, false) }
      let made = LiveFeed(key)
      inside.feeds[key] = made
      return (made, true)
    }
    if isNew { started.continuation.yield(feed) }
    return feed
  }

  private static func less(_ counts: inout [String: Int], _ key: String) {
    let left = counts[key, default: 1] - 1
    counts[key] = left > 0 ? left : nil
  }

  // MARK: Reading

  func run() async throws {
    await cancelWhenGracefulShutdown { [self] in
      await withDiscardingTaskGroup { group in
        for await feed in started.stream { group.addTask { await self.keep(feed) } }
        group.cancelAll()
      }
    }
    let feeds = inside.withLock { inside in
      inside.ended = true
      return Array(inside.feeds.values)
    }
    for feed in feeds { feed.closeAll() }
  }

  /// Reads a feed's topic as long as somebody looks at it.
  private func keep(_ feed: LiveFeed) async {
    var memory = LiveTopic.Memory()
    var next = ContinuousClock.now + .seconds(Self.life)
    while !Task.isCancelled, !isOver(feed) {
      await read(feed, &memory)
      if .now >= next {
        next = .now + .seconds(Self.life)
        feed.ping()
        await sendAwayWhoMayNot(feed)
      }
      try? await Task.sleep(for: .seconds(Self.pace))
    }
    feed.closeAll()
  }

  private func isOver(_ feed: LiveFeed) -> Bool {
    inside.withLock { inside in
      guard feed.closeIfIdle() else { return false }
      inside.feeds[feed.key] = nil
      return true
    }
  }

  /// By the first reader who still may.
  private func read(_ feed: LiveFeed, _ memory: inout LiveTopic.Memory) async {
    for (id, reader) in feed.readers {
      do {
        let values = try await feed.key.topic.read(reader.api, &memory, peak: peak)
        return try feed.publish(values)
      } catch let problem as Problem where [401, 403, 404].contains(problem.status) {
        feed.leave(id)
      } catch {
        if Task.isCancelled { return }
        logger.debug("a live page could not be read", metadata: ["error": "\(error)"])
        return
      }
    }
  }

  private func sendAwayWhoMayNot(_ feed: LiveFeed) async {
    for (id, reader) in feed.readers {
      guard let secret = reader.api.person.secret else { continue }
      do {
        _ = try await reader.api.person.platform.exchange.accessToken(for: secret, tenant: feed.key.tenant)
      } catch let problem as Problem where [401, 403, 404].contains(problem.status) {
        feed.leave(id)
      } catch {}
    }
  }
}

extension Problem {
  /// 429
  static let tooManyStreams = Problem(
    code: "too_many_streams", status: 429, detail: "Too many live pages are open.", remedy: "Close some of them.")
  /// 503
  static let stopping = Problem(
    code: "stopping", status: 503, detail: "The console is stopping.", remedy: "Repeat in a moment.")
}
