import Foundation
public import Workflows

/// A promise of a `WorkflowStore`, checked against an empty store. Throws `RuleBroken` when it is not kept.
public struct WorkflowStoreRule: Sendable, CustomStringConvertible {
  public var name: String
  public var check: @Sendable (any WorkflowStore) async throws -> Void
  public var description: String { name }
}

/// What a `WorkflowStoreRule` found.
public struct WorkflowStoreRuleBroken: Error, CustomStringConvertible {
  public var description: String
}

public enum WorkflowStoreRules {
  public static let all: [WorkflowStoreRule] = [
    WorkflowStoreRule(name: "an id is created once", check: createdOnce),
    WorkflowStoreRule(name: "only what is due, of the kinds asked for, is claimed", check: onlyDue),
    WorkflowStoreRule(name: "concurrent claims never share a workflow", check: claimsAreExclusive),
    WorkflowStoreRule(name: "an older fence cannot commit or renew", check: fenced),
    WorkflowStoreRule(name: "a lease that was committed cannot be committed again", check: committedOnce),
    WorkflowStoreRule(name: "a renewed lease keeps others out", check: renewalHolds),
    WorkflowStoreRule(name: "a commit stores everything", check: commitStores),
    WorkflowStoreRule(name: "a wake-up during a step is not lost", check: wakeIsKept),
    WorkflowStoreRule(name: "cancelling wakes and is seen", check: cancelIsSeen),
    WorkflowStoreRule(name: "what ended stays ended", check: endedIsEnded)
  ]

  static let start = Date(timeIntervalSince1970: 1_000_000)

  static func record(_ id: String, kind: String = "k", due: Double = 0) -> WorkflowRecord {
    WorkflowRecord(
      id: id, kind: kind, tenant: "t", step: "first", state: #"{"n":0}"#, wakeAt: start.addingTimeInterval(due),
      createdAt: start, updatedAt: start)
  }

  static func expect(_ holds: Bool, _ message: @autoclosure () -> String) throws {
    if !holds { throw WorkflowStoreRuleBroken(description: message()) }
  }

  static func expectLeaseLost(_ what: String, _ body: () async throws -> Void) async throws {
    do {
      try await body()
    } catch is WorkflowStoreError {
      return
    }
    throw WorkflowStoreRuleBroken(description: "\(what) was accepted with a lease that is not the newest")
  }

  static func claim(_ store: any WorkflowStore, owner: String = "a", at seconds: Double, for lease: Double = 10)
    async throws -> WorkflowRecord?
  {
    let now = start.addingTimeInterval(seconds)
    return try await store.claim(kinds: ["k"], owner: owner, now: now, until: now.addingTimeInterval(lease))
  }

  static func change(wake: Double = 0, outcome: WorkflowRecord.Outcome? = nil) -> WorkflowChange {
    WorkflowChange(
      step: "second", state: #"{"n":1}"#, attempts: 3, wakeAt: start.addingTimeInterval(wake), outcome: outcome,
      problem: WorkflowProblem(code: "c", detail: "d", remedy: "r"))
  }

  @Sendable static func createdOnce(_ store: any WorkflowStore) async throws {
    _ = try await store.insert(record("w"))
    var other = record("w")
    other.state = "{}"
    let answer = try await store.insert(other)
    try expect(answer.state == #"{"n":0}"#, "a second insert changed the state to \(answer.state)")
    try expect(try await store.unfinished(kinds: ["k"]).count == 1, "there are two workflows of one id")
  }

  @Sendable static func onlyDue(_ store: any WorkflowStore) async throws {
    _ = try await store.insert(record("later", due: 5))
    _ = try await store.insert(record("other", kind: "x"))
    _ = try await store.insert(record("now", due: -1))
    try expect(try await claim(store, at: 0)?.id == "now", "the due workflow was not claimed")
    try expect(try await claim(store, at: 0) == nil, "something was claimed that is not due or of another kind")
    try expect(try await claim(store, at: 5)?.id == "later", "a workflow was not claimed at its wake time")
  }

  @Sendable static func claimsAreExclusive(_ store: any WorkflowStore) async throws {
    for n in 0..<20 { _ = try await store.insert(record("w\(n)")) }
    let claimed = try await withThrowingTaskGroup(of: [String].self) { group in
      for worker in 0..<4 {
        group.addTask {
          var mine: [String] = []
          while let record = try await claim(store, owner: "\(worker)", at: 1) { mine.append(record.id) }
          return mine
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    try expect(claimed.count == 20 && Set(claimed).count == 20, "20 workflows were claimed \(claimed.count) times")
  }

  @Sendable static func fenced(_ store: any WorkflowStore) async throws {
    _ = try await store.insert(record("w"))
    guard let old = try await claim(store, at: 0, for: 1), let new = try await claim(store, owner: "b", at: 2) else {
      throw WorkflowStoreRuleBroken(description: "a workflow whose lease ran out was not claimed")
    }
    try expect(new.fence > old.fence, "a new lease has fence \(new.fence), the old one \(old.fence)")
    try await expectLeaseLost("a commit") {
      try await store.commit("w", fence: old.fence, seen: old.signals, change(), now: start)
    }
    try await expectLeaseLost("a renewal") { try await store.renew("w", fence: old.fence, until: start) }
    let now = try await store.workflow("w")
    try expect(now?.state == #"{"n":0}"# && now?.lease?.owner == "b", "a refused commit left a trace")
  }

  @Sendable static func committedOnce(_ store: any WorkflowStore) async throws {
    _ = try await store.insert(record("w"))
    guard let held = try await claim(store, at: 0) else { throw WorkflowStoreRuleBroken(description: "no claim") }
    try await store.commit("w", fence: held.fence, seen: held.signals, change(), now: start)
    try await expectLeaseLost("a second commit") {
      try await store.commit("w", fence: held.fence, seen: held.signals, change(), now: start)
    }
    try await expectLeaseLost("a renewal after the commit") {
      try await store.renew("w", fence: held.fence, until: start.addingTimeInterval(60))
    }
  }

  @Sendable static func renewalHolds(_ store: any WorkflowStore) async throws {
    _ = try await store.insert(record("w"))
    guard let held = try await claim(store, at: 0, for: 1) else {
      throw WorkflowStoreRuleBroken(description: "no claim")
    }
    try await store.renew("w", fence: held.fence, until: start.addingTimeInterval(10))
    try expect(try await claim(store, owner: "b", at: 5) == nil, "a renewed lease was taken over")
    try expect(try await claim(store, owner: "b", at: 10) != nil, "a lease that ran out was not taken over")
  }

  @Sendable static func commitStores(_ store: any WorkflowStore) async throws {
    _ = try await store.insert(record("w"))
    guard let held = try await claim(store, at: 0) else { throw WorkflowStoreRuleBroken(description: "no claim") }
    let change = change(wake: 7)
    try await store.commit("w", fence: held.fence, seen: held.signals, change, now: start.addingTimeInterval(1))
    guard let now = try await store.workflow("w") else { throw WorkflowStoreRuleBroken(description: "it is gone") }
    let same =
      now.step == change.step && now.state == change.state && now.attempts == 3 && now.problem == change.problem
    try expect(same && now.wakeAt == change.wakeAt && now.lease == nil, "a commit stored \(now)")
    try expect(now.updatedAt == start.addingTimeInterval(1), "a commit did not note its time")
    try expect(try await claim(store, at: 6) == nil, "it was claimed before its wake time")
  }

  @Sendable static func wakeIsKept(_ store: any WorkflowStore) async throws {
    _ = try await store.insert(record("w"))
    guard let held = try await claim(store, at: 0) else { throw WorkflowStoreRuleBroken(description: "no claim") }
    try await store.wake("w", now: start.addingTimeInterval(1))
    try await store.commit(
      "w", fence: held.fence, seen: held.signals, change(wake: 1_000), now: start.addingTimeInterval(2))
    guard let again = try await claim(store, at: 2) else {
      throw WorkflowStoreRuleBroken(description: "a wake-up during a step was lost")
    }
    try await store.commit(
      "w", fence: again.fence, seen: again.signals, change(wake: 1_000), now: start.addingTimeInterval(3))
    try expect(try await claim(store, at: 4) == nil, "one wake-up counted twice")
    try await store.wake("w", now: start.addingTimeInterval(5))
    try expect(try await claim(store, at: 5) != nil, "a sleeping workflow was not woken")
  }

  @Sendable static func cancelIsSeen(_ store: any WorkflowStore) async throws {
    _ = try await store.insert(record("w", due: 1_000))
    try await store.requestCancel("w", now: start)
    let held = try await claim(store, at: 0)
    try expect(held?.cancelRequested == true, "a cancelled workflow was not woken, or does not know of it")
  }

  @Sendable static func endedIsEnded(_ store: any WorkflowStore) async throws {
    _ = try await store.insert(record("w"))
    guard let held = try await claim(store, at: 0) else { throw WorkflowStoreRuleBroken(description: "no claim") }
    try await store.commit("w", fence: held.fence, seen: held.signals, change(outcome: .done), now: start)
    try await store.wake("w", now: start)
    try await store.requestCancel("w", now: start)
    let now = try await store.workflow("w")
    try expect(now?.outcome == .done && now?.cancelRequested == false, "an ended workflow was changed")
    try expect(try await claim(store, at: 50) == nil, "an ended workflow was claimed")
    try expect(try await store.unfinished(kinds: ["k"]).isEmpty, "an ended workflow counts as unfinished")
    try expect(try await store.removeEnded(before: start.addingTimeInterval(1)) == 1, "it was not removed")
    try expect(try await store.workflow("w") == nil, "a removed workflow is still there")
  }
}
