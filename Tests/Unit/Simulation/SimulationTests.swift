import Foundation
import Simulation
import Testing

/// GODWIT_SEEDS says how many seeds are run (10,000 unless told); GODWIT_SEED replays one and prints every step.
@Suite struct SimulationTests {
  static let seeds = ProcessInfo.processInfo.environment["GODWIT_SEEDS"].flatMap(UInt64.init) ?? 10_000
  static let replayed = ProcessInfo.processInfo.environment["GODWIT_SEED"].flatMap(UInt64.init)

  @Test(.disabled(if: replayed != nil, "one seed is replayed"), .timeLimit(.minutes(60)))
  func `every rule holds in thousands of failing worlds, and every fault is hit`() async throws {
    let halves = [1...Self.seeds / 2, Self.seeds / 2 + 1...Self.seeds]
    let total = try await withThrowingTaskGroup(of: Report.self) { group in
      for half in halves {
        group.addTask {
          var report = Report()
          for seed in half { report.add(try Simulation.run(seed: seed)) }
          return report
        }
      }
      return try await group.reduce(into: Report()) { $0.add($1) }
    }
    #expect(total.seals >= Int(Self.seeds) * 2)
    let missed = Fault.allCases.filter { total.hits[$0, default: 0] == 0 }
    #expect(missed.isEmpty || Self.seeds < 1000, "never hit: \(missed)")
  }

  @Test(.enabled(if: replayed != nil, "GODWIT_SEED names no seed"), .timeLimit(.minutes(1)))
  func `the seed of GODWIT_SEED is replayed`() throws {
    _ = try Simulation.run(seed: try #require(Self.replayed)) { print($0) }
  }

  @Test func `a seed runs the same way twice`() throws {
    var traces: [[String]] = [[], []]
    for index in traces.indices { _ = try Simulation.run(seed: 42) { traces[index].append($0) } }
    #expect(traces[0] == traces[1])
    #expect(traces[0].count > 50)
  }

  @Test(arguments: Sabotage.allCases) func `a broken rule is found`(_ sabotage: Sabotage) throws {
    for seed in UInt64(1)...10_000 {
      do { _ = try Simulation.run(seed: seed, sabotage: sabotage) } catch is Violation { return }
    }
    Issue.record("\(sabotage.rawValue) went unnoticed")
  }
}
