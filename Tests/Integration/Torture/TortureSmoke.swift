import Testing

/// So that the torture does not rot between its runs.
@Suite(.serialized) struct TortureSmoke {
  @Test(.timeLimit(.minutes(3)))
  func `a short round of the torture ends with figures and without a miss`() async throws {
    let tally = TortureTally()
    try await TortureRound(filesystem: "ext4", load: Set(WriteLoad.Kind.allCases), tally: tally).run(seconds: 1)
    try await TortureKills(tally: tally).run(syncs: 1, kills: 2)
    try TortureControls.loseEvents(tally, trials: 1)
    try await TortureControls.flipBits(tally)
    _ = TortureControls.simulate(tally, from: 1 << 20, for: .milliseconds(100))
    print(tally.line)
    TortureTests.judge(tally)
    let now = tally.now
    #expect(now.replicas >= 2 && now.seeds > 0)
    #expect(now.survived["agent"] ?? 0 >= 2)
  }
}
