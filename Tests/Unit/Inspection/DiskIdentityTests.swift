import Testing

@testable import Source

@Suite("Which disk is which")
struct DiskIdentityTests {
  private let wanted: [(name: String, identity: String?)] = [("sda", "serial:A"), ("sdb", "gpt:B:100"), ("sdc", nil)]

  @Test("Disks are found again where their names have changed places")
  func swapped() throws {
    let now: [String: String?] = ["sda": "gpt:B:100", "sdb": "serial:A", "sdc": nil, "sdd": "serial:D"]
    #expect(try DiskIdentity.resolve(wanted, among: now) == ["sdb", "sda", "sdc"])
  }

  @Test("A disk that is not there, or that became another, is refused")
  func changed() {
    for now: [String: String?] in [
      ["sdb": "gpt:B:100", "sdc": nil], ["sda": "serial:X", "sdb": "gpt:B:100"], ["sda": nil, "sdb": "gpt:B:100"],
      ["sda": "serial:A", "sdb": "gpt:B:101"]
    ] {
      let failure = #expect(throws: SyncFailure.self) { try DiskIdentity.resolve(wanted, among: now) }
      #expect(failure?.code == "disk_changed")
    }
  }

  @Test("Disks of one identity are told apart by names that have not moved, or not at all")
  func twins() throws {
    let twins: [(name: String, identity: String?)] = [("sda", "serial:A"), ("sdb", "serial:A")]
    #expect(try DiskIdentity.resolve(twins, among: ["sda": "serial:A", "sdb": "serial:A"]) == ["sda", "sdb"])
    #expect(throws: SyncFailure.self) { try DiskIdentity.resolve(twins, among: ["sdb": "serial:A", "sdc": "serial:A"]) }
    // One of them became the other.
    #expect(throws: SyncFailure.self) { try DiskIdentity.resolve(twins, among: ["sda": "serial:A"]) }
    let moved: [(name: String, identity: String?)] = [("sda", "serial:A"), ("sdb", nil)]
    #expect(throws: SyncFailure.self) { try DiskIdentity.resolve(moved, among: ["sdb": "serial:A"]) }
  }
}
