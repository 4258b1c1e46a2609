import Foundation
import Local
import Providers
import Testing

@testable import Hypervisor

@Suite(.serialized, .timeLimit(.minutes(5))) struct LocalVolumeTests {
  static let size: UInt64 = 64 << 20

  func id(_ name: String) -> ResourceID { ResourceID(rawValue: name) }

  @Test func `a deep history keeps every point, and clones never touch it`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let storage = try hypervisor.provider.storage
      _ = try await storage.createVolume(id("v"), size: Self.size, from: nil, tags: [:])
      let place = try await storage.attachVolume(id("v"))
      for point in 1...12 {
        try await NBDTool.fill(place, 1 << 20, 1 << 20, with: UInt8(point))
        _ = try await storage.createSnapshot(id("p\(point)"), of: id("v"), tags: [:])
      }
      for point in [1, 7, 12] {
        _ = try await storage.createVolume(id("c\(point)"), size: Self.size, from: id("p\(point)"), tags: [:])
        let clone = try await storage.attachVolume(id("c\(point)"))
        try await NBDTool.expect(clone, 1 << 20, 1 << 20, is: UInt8(point))
        try await NBDTool.expect(clone, 2 << 20, 1 << 20, is: 0)
        try await NBDTool.fill(clone, 1 << 20, 1 << 20, with: 0xee)
      }
      try await NBDTool.expect(place, 1 << 20, 1 << 20, is: 12)
      _ = try await storage.createVolume(id("again"), size: Self.size, from: id("p7"), tags: [:])
      try await NBDTool.expect(try await storage.attachVolume(id("again")), 1 << 20, 1 << 20, is: 7)
    }
  }

  @Test func `layers go with the last that reads them, not before`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let storage = try hypervisor.provider.storage
      func layers() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: hypervisor.state + "/layers").count
      }
      _ = try await storage.createVolume(id("v"), size: Self.size, from: nil, tags: [:])
      let place = try await storage.attachVolume(id("v"))
      try await NBDTool.fill(place, 0, 1 << 20, with: 1)
      _ = try await storage.createSnapshot(id("s"), of: id("v"), tags: [:])
      #expect(try layers() == 2)
      _ = try await storage.createVolume(id("c"), size: Self.size, from: id("s"), tags: [:])
      try await storage.detachVolume(id("v"))
      try await storage.deleteVolume(id("v"))
      #expect(try layers() == 2)
      try await NBDTool.expect(try await storage.attachVolume(id("c")), 0, 1 << 20, is: 1)
      try await storage.detachVolume(id("c"))
      try await storage.deleteVolume(id("c"))
      #expect(try layers() == 1)
      try await storage.deleteSnapshot(id("s"))
      #expect(try layers() == 0)
    }
  }

  @Test func `zeros and discards give the space back`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let storage = try hypervisor.provider.storage
      func allocated() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: hypervisor.state + "/layers").reduce(0) { sum, name in
          try sum + allocatedBytes(of: "\(hypervisor.state)/layers/\(name)")
        }
      }
      _ = try await storage.createVolume(id("v"), size: Self.size, from: nil, tags: [:])
      let place = try await storage.attachVolume(id("v"))
      try await NBDTool.fill(place, 0, 32 << 20, with: 9)
      #expect(try allocated() > 32 << 20)
      try await NBDTool.fill(place, 0, 32 << 20, with: 0)
      #expect(try allocated() < 4 << 20)
    }
  }

  @Test func `a clone may be larger than its snapshot, never smaller`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let storage = try hypervisor.provider.storage
      _ = try await storage.createVolume(id("v"), size: Self.size, from: nil, tags: [:])
      _ = try await storage.createSnapshot(id("s"), of: id("v"), tags: [:])
      _ = try await storage.createVolume(id("c"), size: Self.size * 2, from: id("s"), tags: [:])
      try await NBDTool.expect(try await storage.attachVolume(id("c")), Self.size * 2 - 65536, 65536, is: 0)
      await #expect(throws: ProviderError.self) {
        _ = try await storage.createVolume(id("d"), size: Self.size / 2, from: id("s"), tags: [:])
      }
      #expect(try await storage.volume(id("d")) == nil)
    }
  }

  @Test func `a state folder with a very long path keeps its sockets elsewhere`() async throws {
    try await HypervisorUnderTest.with(name: String(repeating: "-long", count: 20)) { hypervisor in
      let storage = try hypervisor.provider.storage
      _ = try await storage.createVolume(id("v"), size: Self.size, from: nil, tags: [:])
      let place = try await storage.attachVolume(id("v"))
      #expect(place.contains("socket=/tmp/godwit-"))
      try await NBDTool.fill(place, 0, 65536, with: 3)
      try await storage.detachVolume(id("v"))
      let run = try StateFolder(path: hypervisor.state).runPath
      #expect(try FileManager.default.contentsOfDirectory(atPath: run).isEmpty)
      try FileManager.default.removeItem(atPath: run)
    }
  }

  @Test func `a request without the token is refused`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let address = try String(contentsOfFile: hypervisor.state + "/address", encoding: .utf8)
      let stranger = try Provider.local(
        endpoint: "http://" + address.trimmingCharacters(in: .newlines), token: "another-token-0123456789")
      do {
        _ = try await stranger.storage.list(tags: [:])
        Issue.record("a stranger was served")
      } catch let error as ProviderError {
        #expect(error.code == .credentials)
      }
    }
  }
}
