import Conformance
import Fakes
import Foundation
import Providers
import Testing

@Suite struct FakeCloudRulesTests {
  @Test("the fake cloud keeps every rule", .timeLimit(.minutes(1)), arguments: ProviderRules.all)
  func rules(_ rule: ProviderRule) async throws {
    try await withFakeCloud { endpoint in try await rule.check(subject(endpoint)) }
  }

  @Test("it keeps them when everything takes its time", .timeLimit(.minutes(1)), arguments: ProviderRules.storage)
  func slowRules(_ rule: ProviderRule) async throws {
    try await withFakeCloud { endpoint in
      var faults = Faults()
      (faults.createDelay, faults.deleteDelay) = (0.15, 0.1)
      try await FakeCloudAdmin(endpoint: endpoint).set(faults)
      try await rule.check(subject(endpoint))
    }
  }

  @Test("rules are broken by a provider that forgets what is in use", .timeLimit(.minutes(1)))
  func negative() async throws {
    try await withFakeCloud { endpoint in
      let good = try FakeProvider(endpoint: endpoint)
      let provider = Provider(name: "careless", storage: CarelessStorage(inner: good), compute: good)
      let subject = ProviderUnderTest(provider, patience: 2)
      var broken: [String] = []
      for rule in ProviderRules.storage {
        do { try await rule.check(subject) } catch is RuleSkipped {} catch { broken.append(rule.sentence) }
      }
      #expect(broken.contains { $0.hasPrefix("an attached volume cannot be deleted") })
      #expect(broken.contains { $0.hasPrefix("the same id with other wishes") })
    }
  }

  private func subject(_ endpoint: String) throws -> ProviderUnderTest {
    ProviderUnderTest(
      try FakeProvider(endpoint: endpoint).provider, patience: 10,
      readBytes: { location, offset, count in
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: String(location.dropFirst(5))))
        try file.seek(toOffset: offset)
        return Array(try file.read(upToCount: count) ?? Data())
      },
      writeBytes: { location, offset, bytes in
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: String(location.dropFirst(5))))
        try file.seek(toOffset: offset)
        try file.write(contentsOf: Data(bytes))
        try file.synchronize()
      })
  }

  private func withFakeCloud(_ body: @escaping @Sendable (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("godwit-fake-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await FakeCloud.whileServing(folder: folder) { try await body($0) }
  }
}

/// Deletes what is attached, and takes any second wish for the first.
private struct CarelessStorage: Storage {
  let inner: FakeProvider
  func createVolume(_ id: ResourceID, size: UInt64, from snapshot: ResourceID?, tags: Tags) async throws -> Volume {
    if let known = try await inner.volume(id) { return known }
    return try await inner.createVolume(id, size: size, from: snapshot, tags: tags)
  }
  func volume(_ id: ResourceID) async throws -> Volume? { try await inner.volume(id) }
  func deleteVolume(_ id: ResourceID) async throws {
    try await inner.detachVolume(id)
    try await inner.deleteVolume(id)
  }
  func attachVolume(_ id: ResourceID) async throws -> String { try await inner.attachVolume(id) }
  func detachVolume(_ id: ResourceID) async throws { try await inner.detachVolume(id) }
  func createSnapshot(_ id: ResourceID, of volume: ResourceID, tags: Tags) async throws -> Snapshot {
    try await inner.createSnapshot(id, of: volume, tags: tags)
  }
  func snapshot(_ id: ResourceID) async throws -> Snapshot? { try await inner.snapshot(id) }
  func deleteSnapshot(_ id: ResourceID) async throws { try await inner.deleteSnapshot(id) }
  func list(tags: Tags) async throws -> [StoredResource] { try await inner.list(tags: tags) }
}
