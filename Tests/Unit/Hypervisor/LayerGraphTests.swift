import Testing

@testable import Hypervisor

@Suite struct LayerGraphTests {
  let one = LayerID.random()
  let two = LayerID.random()
  let three = LayerID.random()

  func volume(_ layers: LayerID...) -> VolumeRecord {
    VolumeRecord(id: "v", size: 512, origin: nil, tags: [:], ready: true, layers: layers, attached: false)
  }

  func snapshot(_ layers: [LayerID], successor: LayerID, ready: Bool = true) -> SnapshotRecord {
    SnapshotRecord(id: "s", volume: "v", size: 512, tags: [:], ready: ready, layers: layers, successor: successor)
  }

  func garbage(_ volumes: [VolumeRecord], _ snapshots: [SnapshotRecord]) -> Set<String> {
    let names = [one, two, three].map { "\($0.rawValue).qcow2" } + ["\(one.rawValue).qcow2.part"]
    return Set(LayerGraph(volumes: volumes, snapshots: snapshots).garbage(among: names))
  }

  @Test func `a layer stays while anything reads it`() {
    #expect(garbage([volume(two, one)], []) == ["\(three.rawValue).qcow2", "\(one.rawValue).qcow2.part"])
    #expect(garbage([], [snapshot([one], successor: two)]).contains("\(two.rawValue).qcow2"))
    #expect(!garbage([volume(three, one)], [snapshot([one], successor: two)]).contains("\(one.rawValue).qcow2"))
  }

  @Test func `the successor of a snapshot that is being taken stays`() {
    #expect(!garbage([volume(one)], [snapshot([one], successor: two, ready: false)]).contains("\(two.rawValue).qcow2"))
  }

  @Test func `nothing is left when nothing is referenced`() {
    #expect(garbage([], []).count == 4)
  }

  @Test func `any history of snapshots, clones and deletions keeps exactly what is read`() {
    var random = SystemRandomNumberGenerator()
    var volumes: [VolumeRecord] = [volume(.random())]
    var snapshots: [SnapshotRecord] = []
    var files = Set(volumes[0].layers)
    for _ in 0..<2000 {
      switch Int.random(in: 0..<5, using: &random) {
      case 0 where !volumes.isEmpty:
        let index = volumes.indices.randomElement(using: &random)!
        let successor = LayerID.random()
        snapshots.append(snapshot(volumes[index].layers, successor: successor))
        volumes[index].layers.insert(successor, at: 0)
        files.insert(successor)
      case 1 where !snapshots.isEmpty:
        volumes.append(volume(.random()))
        volumes[volumes.count - 1].layers += snapshots.randomElement(using: &random)!.layers
        files.insert(volumes[volumes.count - 1].layers[0])
      case 2 where volumes.count > 1: volumes.remove(at: volumes.indices.randomElement(using: &random)!)
      case 3 where !snapshots.isEmpty: snapshots.remove(at: snapshots.indices.randomElement(using: &random)!)
      default: break
      }
      let garbage = LayerGraph(volumes: volumes, snapshots: snapshots).garbage(
        among: files.map { "\($0.rawValue).qcow2" })
      files.subtract(garbage.map { LayerID(rawValue: String($0.dropLast(6))) })
      let read = Set(volumes.flatMap(\.layers) + snapshots.flatMap(\.layers))
      #expect(files == read)
    }
  }
}
