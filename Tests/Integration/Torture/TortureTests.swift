import Foundation
import Glibc
import Testing

/// Run by `make torture` alone, for GODWIT_TORTURE_MINUTES.
@Suite(.serialized) struct TortureTests {
  @Test(.timeLimit(.minutes(60 * 24 * 7)))
  func `every block of every frozen point is right, whatever is written and killed`() async throws {
    let text = try #require(
      ProcessInfo.processInfo.environment["GODWIT_TORTURE_MINUTES"], "run this by `make torture MINUTES=n`")
    let minutes = try #require(Double(text), "MINUTES is no number: \(text)")
    let end = ContinuousClock.now + .seconds(minutes * 60)
    let tally = TortureTally()
    // Others each time, far from those of `make test`; a broken rule names its seed.
    var seed = UInt64.random(in: 1 << 20..<1 << 62)
    var rounds: [(String, Set<WriteLoad.Kind>)] = []
    repeat {
      if rounds.isEmpty {
        rounds = TortureRound.filesystems.flatMap { name in TortureRound.loads.map { (name, $0) } }.shuffled()
      }
      let (filesystem, load) = rounds.removeLast()
      do {
        try await TortureRound(filesystem: filesystem, load: load, tally: tally).run(seconds: 8)
        try await TortureKills(tally: tally).run(syncs: 2, kills: 4)
        try TortureControls.loseEvents(tally)
        try await TortureControls.flipBits(tally)
      } catch { tally.fault("\(filesystem) under \(load): \(error)") }
      seed = TortureControls.simulate(tally, from: seed, for: .seconds(3))
      print("round: \(filesystem) under \(load.map(\.rawValue).sorted().joined(separator: "+"))")
      print(tally.line)
      fflush(nil)
    } while .now < end
    Self.judge(tally)
    let now = tally.now
    #expect(now.points > 0 && now.replicas > 0, "nothing was compared")
  }

  static func judge(_ tally: TortureTally) {
    let now = tally.now
    #expect(now.misses == [])
    #expect(now.faults == [])
    #expect(now.losses.caught == now.losses.made)
    #expect(now.flips.found == now.flips.made)
  }
}
