import Blocks
import Conformance
import NetworkVolumes
import Testing

/// `NBDVolume` against the servers it will meet.
@Suite("Block rules over NBD", .timeLimit(.minutes(5)), .serialized)
struct NBDConformance {
  /// Ends in the middle of a page.
  private static let size = 16 << 20 + 1536

  @Test("A qcow2 image behind a storage daemon", arguments: BlockRules.all)
  func storageDaemon(rule: BlockRule) throws {
    try NBDServer.withStorageDaemon(size: Self.size) { try rule.check(NBDVolume(uri: $0.uri)) }
  }

  @Test("Memory behind nbdkit", arguments: BlockRules.all)
  func memory(rule: BlockRule) throws {
    try NBDServer.withNbdkit("memory \(Self.size)") { try rule.check(NBDVolume(uri: $0.uri)) }
  }

  @Test("A server with narrow limits: pages, 1 MiB at once, one connection, no zeroing", arguments: BlockRules.all)
  func narrow(rule: BlockRule) throws {
    let limits = "blocksize-minimum=4096 blocksize-maximum=1M blocksize-error-policy=error"
    let filters = "--filter=blocksize-policy --filter=multi-conn --filter=nozero"
    try NBDServer.withNbdkit("\(filters) memory 16M \(limits) multi-conn-mode=disable zeromode=none") { server in
      let volume = try NBDVolume(uri: server.uri)
      #expect(volume.alignment == 4096)
      try rule.check(volume)
    }
  }
}
