import Machines
extension LocalCloud {
  static let maximumVolumeSize: UInt64 = 64 << 40

  /// Makes the volume, or answers with the one there is if it was wished alike.
  public func createVolume(_ id: String, _ wish: VolumeWish) async throws -> Volume {
    try HypervisorError.checkID(id)
    return try await turns.withTurn {
      if let record = read({ $0.volumes[id] }) {
        guard record.size == wish.size, record.origin == wish.origin else {
          throw HypervisorError(.conflict, "volume \(id) exists with another size or origin")
        }
        return try await complete(record).volume
      }
      let record = VolumeRecord(
        id: id, size: wish.size, origin: wish.origin, tags: wish.tags, ready: false,
        layers: [.random()] + (try baseLayers(wish)), attached: false)
      try await store(record)
      do {
        return try await complete(record).volume
      } catch let error as HypervisorError where error.code == .failed {
        try await remove(record)
        try await collectLayers()
        throw error
      }
    }
  }

  /// What the first layer of a new volume lies on.
  private func baseLayers(_ wish: VolumeWish) throws -> [LayerID] {
    guard wish.size > 0, wish.size % 512 == 0, wish.size <= Self.maximumVolumeSize else {
      throw HypervisorError(.invalid, "a volume's size is a multiple of 512 bytes, at most 64 TiB; \(wish.size) is not")
    }
    guard let origin = wish.origin else { return [] }
    guard let snapshot = read({ $0.snapshots[origin] }), snapshot.ready else {
      throw HypervisorError.unknown("snapshot", origin)
    }
    guard wish.size >= snapshot.size else {
      throw HypervisorError(
        .invalid, "a volume of \(wish.size) bytes cannot hold snapshot \(origin) of \(snapshot.size) bytes")
    }
    return snapshot.layers
  }

  /// Makes what the record promises and is not there yet.
  @discardableResult
  func complete(_ record: VolumeRecord) async throws -> VolumeRecord {
    guard !record.ready else { return record }
    var record = record
    try await makeLayer(record.layers[0], over: record.layers.dropFirst().first, size: record.size)
    record.ready = true
    try await store(record)
    return record
  }

  public func volume(_ id: String) throws -> Volume {
    guard let record = read({ $0.volumes[id] }) else { throw HypervisorError.unknown("volume", id) }
    return record.volume
  }

  /// Removes the volume and those of its layers that no snapshot and no clone reads. Succeeds when there is none.
  public func deleteVolume(_ id: String) async throws {
    try await turns.withTurn {
      guard let record = read({ $0.volumes[id] }) else { return }
      guard !record.attached else {
        throw HypervisorError(.inUse, "volume \(id) is attached; detach it first")
      }
      try checkFree(id)
      try await settleSnapshots(of: id)
      try await remove(record)
      try await collectLayers()
    }
  }

  /// Throws `.inUse` when a machine, running or not, has the volume.
  func checkFree(_ volume: String) throws {
    if let machine = read({ $0.machines.values.first { $0.wish.volumes.contains(volume) } }) {
      throw HypervisorError(.inUse, "volume \(volume) belongs to machine \(machine.id); delete the machine first")
    }
  }

  // MARK: Layers

  /// Makes an empty layer file, complete or not at all: it is made beside its place and renamed when it is durable.
  func makeLayer(_ layer: LayerID, over parent: LayerID?, size: UInt64) async throws {
    let place = folder.layer(layer)
    if try await blocking({ DurableFile.exists(place) }) { return }
    let draft = place + ".part"
    try await Tool.image.run(ImageCommand.create(draft, parent: parent.map(folder.layer), size: size))
    try await blocking {
      try DurableFile.flush(draft)
      try DurableFile.rename(draft, to: place)
    }
  }

  /// Removes the layer files that no record needs.
  func collectLayers() async throws {
    let graph = read { LayerGraph(volumes: $0.volumes.values, snapshots: $0.snapshots.values) }
    try await blocking { [folder] in
      for name in graph.garbage(among: try DurableFile.names(in: folder.layersPath)) {
        try DurableFile.remove("\(folder.layersPath)/\(name)")
      }
    }
  }
}
