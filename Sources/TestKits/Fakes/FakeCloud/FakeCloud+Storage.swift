import Foundation
import Machines
import Providers

extension FakeCloud {
  func createVolume(_ id: ResourceID, size: UInt64, from origin: ResourceID?, tags: Tags) throws -> Volume {
    try verb("createVolume", id.rawValue) { state, effect in
      try Self.check(id)
      if let known = state.volumes[id.rawValue] {
        let same = known.value.size == size && known.value.origin == origin && known.value.tags == tags
        guard same, known.goneAt == nil else { throw ProviderError(.conflict, "volume \(id) exists otherwise") }
        return shown(known)
      }
      guard size > 0, size <= 1 << 44 else { throw ProviderError(.invalid, "volume \(id): size \(size)") }
      let path = volumePath(id.rawValue)
      if let origin {
        guard let snapshot = state.snapshots[origin.rawValue], snapshot.goneAt == nil else {
          throw ProviderError(.notFound, "there is no snapshot \(origin)")
        }
        guard snapshot.readyAt <= now() else { throw ProviderError(.unavailable, "snapshot \(origin) is not ready") }
        guard snapshot.value.size <= size else { throw ProviderError(.invalid, "\(size) is less than the snapshot") }
        try SparseCopy.copy(snapshotPath(origin.rawValue), to: path, size: size)
      } else {
        try SparseCopy.create(path, size: size)
      }
      let volume = Volume(id: id, size: size, state: .creating, origin: origin, tags: tags)
      let record = stored(volume)
      state.volumes[id.rawValue] = record
      effect = "created volume"
      return shown(record)
    }
  }

  func volume(_ id: ResourceID) throws -> Volume? {
    try verb("volume", id.rawValue) { state, _ in
      state.volumes[id.rawValue].flatMap { $0.visibleAt <= now() ? shown($0) : nil }
    }
  }

  func deleteVolume(_ id: ResourceID) throws {
    try verb("deleteVolume", id.rawValue) { state, effect in
      guard let known = state.volumes[id.rawValue], known.goneAt == nil else { return }
      guard known.location == nil else { throw ProviderError(.inUse, "volume \(id) is attached") }
      let user = state.machines.values.first { $0.goneAt == nil && $0.value.wish.volumes.contains(id.rawValue) }
      if let user { throw ProviderError(.inUse, "volume \(id) belongs to machine \(user.value.id)") }
      state.volumes[id.rawValue]?.goneAt = now() + faults.settings.deleteDelay
      effect = "deleted volume"
    }
  }

  func attachVolume(_ id: ResourceID) throws -> String {
    try verb("attachVolume", id.rawValue) { state, effect in
      guard let known = state.volumes[id.rawValue], known.goneAt == nil else {
        throw ProviderError(.notFound, "there is no volume \(id)")
      }
      if let location = known.location { return location }
      guard known.readyAt <= now() else { throw ProviderError(.unavailable, "volume \(id) is not ready") }
      if let user = runningMachine(on: id, state) { throw ProviderError(.inUse, "machine \(user) runs on \(id)") }
      let location = "file:" + volumePath(id.rawValue)
      state.volumes[id.rawValue]?.location = location
      effect = "attached volume"
      return location
    }
  }

  func detachVolume(_ id: ResourceID) throws {
    try verb("detachVolume", id.rawValue) { state, effect in
      guard state.volumes[id.rawValue]?.location != nil else { return }
      state.volumes[id.rawValue]?.location = nil
      effect = "detached volume"
    }
  }

  func createSnapshot(_ id: ResourceID, of volume: ResourceID, tags: Tags) throws -> Snapshot {
    try verb("createSnapshot", id.rawValue) { state, effect in
      try Self.check(id)
      if let known = state.snapshots[id.rawValue] {
        let same = known.value.volume == volume && known.value.tags == tags && known.goneAt == nil
        guard same else { throw ProviderError(.conflict, "snapshot \(id) exists otherwise") }
        return shown(known)
      }
      guard let source = state.volumes[volume.rawValue], source.goneAt == nil else {
        throw ProviderError(.notFound, "there is no volume \(volume)")
      }
      guard source.readyAt <= now() else { throw ProviderError(.unavailable, "volume \(volume) is not ready") }
      try SparseCopy.copy(volumePath(volume.rawValue), to: snapshotPath(id.rawValue), size: source.value.size)
      let snapshot = Snapshot(id: id, volume: volume, size: source.value.size, state: .creating, tags: tags)
      var record = stored(snapshot)
      if faults.failsSnapshot() { record.hasFailed = true }
      state.snapshots[id.rawValue] = record
      effect = "created snapshot"
      return shown(record)
    }
  }

  func snapshot(_ id: ResourceID) throws -> Snapshot? {
    try verb("snapshot", id.rawValue) { state, _ in
      state.snapshots[id.rawValue].flatMap { $0.visibleAt <= now() ? shown($0) : nil }
    }
  }

  func deleteSnapshot(_ id: ResourceID) throws {
    try verb("deleteSnapshot", id.rawValue) { state, effect in
      guard let known = state.snapshots[id.rawValue], known.goneAt == nil else { return }
      let clone = state.volumes.values.first { $0.goneAt == nil && $0.value.origin == id }
      if let clone { throw ProviderError(.inUse, "volume \(clone.value.id) was made from snapshot \(id)") }
      state.snapshots[id.rawValue]?.goneAt = now() + faults.settings.deleteDelay
      effect = "deleted snapshot"
    }
  }

  func list(tags: Tags) throws -> [StoredResource] {
    try verb("list", "") { state, _ in
      let time = now()
      let volumes = state.volumes.values.filter { $0.visibleAt <= time && $0.value.tags.carry(tags) }
      let snapshots = state.snapshots.values.filter { $0.visibleAt <= time && $0.value.tags.carry(tags) }
      return volumes.map { .volume(shown($0)) } + snapshots.map { .snapshot(shown($0)) }
    }
  }

  func stored<Value>(_ value: Value) -> Stored<Value> {
    let (time, settings) = (now(), faults.settings)
    return Stored(value: value, visibleAt: time + settings.visibilityDelay, readyAt: time + settings.createDelay)
  }

  private func shown(_ record: Stored<Volume>) -> Volume {
    var volume = record.value
    volume.state = record.goneAt != nil ? .deleting : record.readyAt <= now() ? .ready : .creating
    return volume
  }

  private func shown(_ record: Stored<Snapshot>) -> Snapshot {
    var snapshot = record.value
    let end = record.hasFailed == true ? ResourceState.failed : .ready
    snapshot.state = record.goneAt != nil ? .deleting : record.readyAt <= now() ? end : .creating
    return snapshot
  }
}

extension Tags {
  /// Whether all of `wanted` are among these.
  func carry(_ wanted: Tags) -> Bool { wanted.allSatisfy { self[$0.key] == $0.value } }
}
