import Providers

extension ProviderRules {
  public static let storage: [ProviderRule] = volumes + snapshots + bytes

  private static let volumes: [ProviderRule] = [
    ProviderRule(sentence: "creating a volume twice with the same wishes makes one") { scope in
      let id = scope.id("v")
      let first = try await scope.storage.createVolume(id, size: scope.subject.volumeSize, from: nil, tags: scope.tags)
      let again = try await scope.storage.createVolume(id, size: scope.subject.volumeSize, from: nil, tags: scope.tags)
      try scope.require(
        first.id == id && again.id == id && again.size == first.size, "the second answer is another volume")
      try await scope.readyVolume("v")
      let listed = try await scope.storage.list(tags: scope.tags)
      try scope.require(listed.count == 1, "\(listed.count) objects exist")
    },
    ProviderRule(sentence: "the same id with other wishes is a conflict and changes nothing") { scope in
      let volume = try await scope.readyVolume("v")
      try await scope.expect(.conflict, when: "creating it with another size") {
        _ = try await scope.storage.createVolume(volume.id, size: volume.size * 2, from: nil, tags: scope.tags)
      }
      let after = try await scope.storage.volume(volume.id)
      try scope.require(after?.size == volume.size, "the volume changed")
    },
    ProviderRule(sentence: "a volume that does not exist is nil") { scope in
      let none = try await scope.storage.volume(scope.id("none"))
      try scope.require(none == nil, "it was found")
      let noSnapshot = try await scope.storage.snapshot(scope.id("none"))
      try scope.require(noSnapshot == nil, "a snapshot was found")
    },
    ProviderRule(sentence: "tags come back and are searched: all of them must match") { scope in
      let more = scope.tags.merging(["godwit-owner": "someone"]) { $1 }
      _ = try await scope.storage.createVolume(
        scope.id("v"), size: scope.subject.volumeSize, from: nil, tags: more)
      let volume = try await scope.wait(for: "the volume") { try await scope.storage.volume(scope.id("v")) }
      try scope.require(volume.tags == more, "its tags are \(volume.tags)")
      let found = try await scope.wait(for: "the volume in the list") {
        let list = try await scope.storage.list(tags: more)
        return list.isEmpty ? nil : list
      }
      try scope.require(found.count == 1, "\(found.count) were found")
      let other = try await scope.storage.list(tags: more.merging(["godwit-owner": "another"]) { $1 })
      try scope.require(other.isEmpty, "a volume with other tags was found")
    },
    ProviderRule(sentence: "deleting a volume is final, and again is no error") { scope in
      let volume = try await scope.readyVolume("v")
      try await scope.storage.deleteVolume(volume.id)
      try await scope.storage.deleteVolume(volume.id)
      try await scope.wait(for: "the end of the volume") {
        try await scope.storage.volume(volume.id) == nil ? () : nil
      }
      try await scope.storage.deleteVolume(volume.id)
      try await scope.storage.deleteVolume(scope.id("never"))
    },
    ProviderRule(sentence: "an attached volume cannot be deleted; attaching again answers the same place") { scope in
      let volume = try await scope.readyVolume("v")
      let place = try await scope.storage.attachVolume(volume.id)
      let again = try await scope.storage.attachVolume(volume.id)
      try scope.require(place == again, "it is first at \(place), then at \(again)")
      let known = ["nbd+unix://", "file:", "device:"].contains { place.hasPrefix($0) }
      try scope.require(known, "'\(place)' is no location")
      try await scope.expect(.inUse, when: "deleting an attached volume") {
        try await scope.storage.deleteVolume(volume.id)
      }
      let after = try await scope.storage.volume(volume.id)
      try scope.require(after?.state == .ready, "the refused delete changed it")
      try await scope.storage.detachVolume(volume.id)
      try await scope.storage.detachVolume(volume.id)
      try await scope.storage.deleteVolume(volume.id)
    },
    ProviderRule(sentence: "attaching what does not exist is not found") { scope in
      try await scope.expect(.notFound, when: "attaching nothing") {
        _ = try await scope.storage.attachVolume(scope.id("none"))
      }
    },
    ProviderRule(sentence: "ids are [a-z0-9-]{1,63}; others are invalid and leave nothing") { scope in
      for bad in ["", "A", "a/b", "../x", "a b", String(repeating: "a", count: 64)] {
        try await scope.expect(.invalid, when: "creating volume '\(bad)'") {
          _ = try await scope.storage.createVolume(
            ResourceID(rawValue: bad), size: scope.subject.volumeSize, from: nil, tags: scope.tags)
        }
      }
    }
  ]

  private static let snapshots: [ProviderRule] = [
    ProviderRule(sentence: "creating a snapshot twice makes one; of another volume it is a conflict") { scope in
      let volume = try await scope.readyVolume("v")
      let other = try await scope.readyVolume("w")
      let snapshot = try await scope.readySnapshot("s", of: volume.id)
      let again = try await scope.storage.createSnapshot(snapshot.id, of: volume.id, tags: scope.tags)
      try scope.require(again.id == snapshot.id && again.volume == volume.id, "the second answer is another one")
      try scope.require(snapshot.size == volume.size, "its size is \(snapshot.size)")
      try await scope.expect(.conflict, when: "the same id of another volume") {
        _ = try await scope.storage.createSnapshot(snapshot.id, of: other.id, tags: scope.tags)
      }
    },
    ProviderRule(sentence: "a snapshot with clones cannot be deleted, and is unchanged by the attempt") { scope in
      let volume = try await scope.readyVolume("v")
      let snapshot = try await scope.readySnapshot("s", of: volume.id)
      let clone = try await scope.readyVolume("c", from: snapshot.id)
      try scope.require(clone.origin == snapshot.id, "the clone's origin is \(String(describing: clone.origin))")
      try await scope.expect(.inUse, when: "deleting a snapshot with a clone") {
        try await scope.storage.deleteSnapshot(snapshot.id)
      }
      let after = try await scope.storage.snapshot(snapshot.id)
      try scope.require(after?.state == .ready, "the refused delete changed it")
      try await scope.storage.deleteVolume(clone.id)
      try await scope.wait(for: "the end of the clone") { try await scope.storage.volume(clone.id) == nil ? () : nil }
      try await scope.storage.deleteSnapshot(snapshot.id)
      try await scope.storage.deleteSnapshot(snapshot.id)
      try await scope.wait(for: "the end of the snapshot") {
        try await scope.storage.snapshot(snapshot.id) == nil ? () : nil
      }
    },
    ProviderRule(sentence: "a volume from a snapshot that does not exist is not found") { scope in
      try await scope.expect(.notFound, when: "cloning nothing") {
        _ = try await scope.storage.createVolume(
          scope.id("c"), size: scope.subject.volumeSize, from: scope.id("none"), tags: scope.tags)
      }
      try await scope.expect(.notFound, when: "a snapshot of nothing") {
        _ = try await scope.storage.createSnapshot(scope.id("s"), of: scope.id("none"), tags: scope.tags)
      }
    }
  ]

  private static let bytes: [ProviderRule] = [
    ProviderRule(sentence: "a new volume reads as zeros, to its last byte") { scope in
      let volume = try await scope.readyVolume("v")
      let place = try await scope.storage.attachVolume(volume.id)
      for offset in [0, volume.size / 2, volume.size - 65_536] {
        let bytes = try await scope.read(place, offset, 65_536)
        try scope.require(bytes.count == 65_536 && bytes.allSatisfy { $0 == 0 }, "no zeros at \(offset)")
      }
      try await scope.storage.detachVolume(volume.id)
    },
    ProviderRule(sentence: "what was flushed before a detach is there after the next attach") { scope in
      let volume = try await scope.readyVolume("v")
      let bytes = pattern(1)
      try await scope.write(try await scope.storage.attachVolume(volume.id), volume.size - 65_536, bytes)
      try await scope.storage.detachVolume(volume.id)
      let found = try await scope.read(try await scope.storage.attachVolume(volume.id), volume.size - 65_536, 65_536)
      try scope.require(found == bytes, "other bytes came back")
      try await scope.storage.detachVolume(volume.id)
    },
    ProviderRule(sentence: "a snapshot of an attached volume holds what was flushed, and never changes") { scope in
      let volume = try await scope.readyVolume("v")
      let place = try await scope.storage.attachVolume(volume.id)
      try await scope.write(place, 0, pattern(1))
      let snapshot = try await scope.readySnapshot("s", of: volume.id)
      try await scope.write(place, 0, pattern(2))
      let clone = try await scope.readyVolume("c", from: snapshot.id)
      let clonePlace = try await scope.storage.attachVolume(clone.id)
      try scope.require(try await scope.read(clonePlace, 0, 65_536) == pattern(1), "the snapshot saw a later write")
      try await scope.write(clonePlace, 0, pattern(3))
      try scope.require(try await scope.read(place, 0, 65_536) == pattern(2), "a write to the clone reached the volume")
      let second = try await scope.readyVolume("d", from: snapshot.id)
      let secondPlace = try await scope.storage.attachVolume(second.id)
      try scope.require(
        try await scope.read(secondPlace, 0, 65_536) == pattern(1), "a write to a clone changed the snapshot")
      for id in [volume.id, clone.id, second.id] { try await scope.storage.detachVolume(id) }
    },
    ProviderRule(sentence: "bytes that look like a container format stay bytes") { scope in
      let volume = try await scope.readyVolume("v")
      let place = try await scope.storage.attachVolume(volume.id)
      let header = qcow2Header()
      try await scope.write(place, 0, header)
      try await scope.storage.detachVolume(volume.id)
      let snapshot = try await scope.readySnapshot("s", of: volume.id)
      let clone = try await scope.readyVolume("c", from: snapshot.id)
      try scope.require(clone.size == volume.size, "the clone's size is \(clone.size)")
      let found = try await scope.read(try await scope.storage.attachVolume(clone.id), 0, header.count)
      try scope.require(found == header, "the header was interpreted")
      try await scope.storage.detachVolume(clone.id)
    }
  ]

  private static func pattern(_ seed: UInt8) -> [UInt8] {
    (0..<65_536).map { UInt8(truncatingIfNeeded: $0) &* 31 &+ seed }
  }

  /// 64 KiB that begin as a qcow2 image of 1 TiB whose backing file is a file of the host.
  private static func qcow2Header() -> [UInt8] {
    func big(_ value: UInt64, _ size: Int) -> [UInt8] {
      (0..<size).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
    let backing = Array("/etc/hostname".utf8)
    var bytes =
      big(0x5146_49FB, 4) + big(3, 4) + big(112, 8) + big(UInt64(backing.count), 4) + big(16, 4) + big(1 << 40, 8)
    bytes += [UInt8](repeating: 0, count: 112 - bytes.count) + backing
    return bytes + [UInt8](repeating: 0, count: 65_536 - bytes.count)
  }
}
