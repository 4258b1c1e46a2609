import NIOCore
import Synchronization
import Testing
import Wire

/// The clock of a source is wrong, or is set in the middle of a session, as by NTP or by hand.
@Suite(.timeLimit(.minutes(2))) struct ClockTests {
  private let lab: GatewayLab

  init() throws { lab = try GatewayLab() }

  private final class Skew: Sendable {
    let seconds: Mutex<Int>
    init(_ seconds: Int) { self.seconds = Mutex(seconds) }
  }

  @Test(arguments: [[-400, 400], [7200, -7200], [80_000, 0]])
  func `a clock that is wrong, and is set while frames are sent, costs a request at most`(skews: [Int]) async throws {
    let (disk, agent, skew) = (try lab.volume("v1", size: 1 << 20), AgentKey(), Skew(skews[0]))
    let token = try CompactJWS.sign(lab.grant(session: "s1", disks: [disk], agent: agent), with: lab.issuer)
    try await lab.withGateway { gateway in
      try await gateway.withClient(agent, skew: { skew.seconds.withLock { $0 } }) { client in
        let source = TestSource(client: client, base: gateway.base, session: "s1", token: token, agent: agent)
        try await source.open()
        for leaf in 0..<16 as Range<UInt64> {
          if leaf == 8 { skew.seconds.withLock { $0 = skews[1] } }
          try await source.write(TestFrame.leaves(1, seed: leaf), leaf: leaf)
        }
        try await source.flush()
        let answer = try await source.seal()
        #expect(answer.state == .sealed)
      }
    }
  }

  @Test func `a clock that is days wrong is said`() async throws {
    let (disk, agent) = (try lab.volume("v1", size: 4 << 20), AgentKey())
    let token = try CompactJWS.sign(lab.grant(session: "s1", disks: [disk], agent: agent), with: lab.issuer)
    try await lab.withGateway { gateway in
      try await gateway.withClient(agent, skew: { 200_000 }) { client in
        let source = TestSource(client: client, base: gateway.base, session: "s1", token: token, agent: agent)
        let code = try await refusal { try await source.open() }
        #expect(code == "proof_refused")
      }
    }
  }
}
