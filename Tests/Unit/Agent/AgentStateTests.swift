import Blocks
import FoundationEssentials
import Glibc
import Synchronization
import Testing
import Transport
import Wire

@testable import Source

@Suite struct AgentStateTests {
  @Test func `an identity comes back as it was saved, readable for its owner only`() throws {
    var places = AgentPlaces()
    places.state = "/var/tmp/godwit-agent-state-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: places.state) }
    let state = AgentState(places: places)
    #expect(try state.identity() == nil)
    let key = AgentKey()
    let credential = AgentCredential(tenant: "t", source: "s", accessToken: "token", expiresIn: 900)
    try state.save(
      Identity(server: "https://a", connection: .init(authority: "PEM"), credential: credential, key: key))
    let found = try #require(try state.identity())
    #expect(try found.key().thumbprint == key.thumbprint)
    #expect(found.credential == credential)
    var status = stat()
    #expect(stat(places.identity, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    #expect(stat(places.state, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o700)
  }

  @Test func `a damaged identity says what to do`() throws {
    var places = AgentPlaces()
    places.state = "/var/tmp/godwit-agent-state-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: places.state) }
    try PrivateFile.write(Array("{".utf8), to: places.identity)
    #expect(throws: AgentError.self) { try AgentState(places: places).identity() }
  }

  @Test func `a command that this version does not know keeps its id`() throws {
    let known = try JSONEncoder().encode([AgentCommand(id: "1", body: .rehearse)])
    #expect(try JSONDecoder().decode([ReceivedCommand].self, from: known).map(\.body) == [.rehearse])
    let unknown = Data(#"[{"id":"2","body":{"defragment":{"how":"well"}}},{"id":"3"}]"#.utf8)
    let received = try JSONDecoder().decode([ReceivedCommand].self, from: unknown)
    #expect(received.map(\.id) == ["2", "3"])
    #expect(received.map(\.body) == [nil, nil])
  }

  @Test(.timeLimit(.minutes(1))) func `a pool never makes more buffers than it may`() async {
    let pool = BufferPool(count: 2, size: 4096)
    let most = Users()
    await withDiscardingTaskGroup { group in
      for _ in 0..<50 {
        group.addTask {
          await pool.withBuffer { buffer in
            most.state.withLock { state in
              state.now += 1
              state.most = max(state.most, state.now)
              state.seen.insert(ObjectIdentifier(buffer))
            }
            await Task.yield()
            most.state.withLock { $0.now -= 1 }
          }
        }
      }
    }
    #expect(most.state.withLock { $0.most } == 2)
    #expect(most.state.withLock { $0.seen.count } == 2)
  }
}

/// Who uses buffers at once.
private final class Users: Sendable {
  let state = Mutex((now: 0, most: 0, seen: Set<ObjectIdentifier>()))
}
