/// Which layers are needed, derived from the records alone: nothing counts references, so no count can be wrong.
struct LayerGraph: Sendable {
  /// Layers that a volume or a snapshot reads.
  let referenced: Set<LayerID>

  init(volumes: some Sequence<VolumeRecord>, snapshots: some Sequence<SnapshotRecord>) {
    var referenced: Set<LayerID> = []
    for volume in volumes { referenced.formUnion(volume.layers) }
    for snapshot in snapshots {
      referenced.formUnion(snapshot.layers)
      if !snapshot.ready { referenced.insert(snapshot.successor) }
    }
    self.referenced = referenced
  }

  /// Of the files in the layers folder, those that nothing needs: unreferenced layers and half-made ones.
  func garbage(among names: some Sequence<String>) -> [String] {
    let kept = Set(referenced.map { "\($0.rawValue).qcow2" })
    return names.filter { !kept.contains($0) }
  }
}
