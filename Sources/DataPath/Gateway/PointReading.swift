import Blocks
import Replication
import Synchronization
import Wire

/// One re-reading of a point: every leaf of its volumes (clones of its snapshots) against the leaf map that was kept at
/// the seal. Its one thread blocks.
final class PointReading: Sendable {
  private struct State {
    var read: UInt64 = 0
    var answer: VerifyAnswer?
    var isStopped = false
  }

  private let grant: SessionGrant
  private let maps: [DurableFolder]
  private let openVolume: VolumeOpener
  private let key: AgentKey
  private let now: @Sendable () -> Int
  private let state = Mutex(State())

  /// - Parameters:
  ///   - grant: names the replica's volumes, and as their locations the clones to read.
  ///   - maps: of each disk the folder of its leaf map.
  init(
    grant: SessionGrant, maps: [DurableFolder], openVolume: @escaping VolumeOpener, key: AgentKey,
    now: @escaping @Sendable () -> Int
  ) {
    (self.grant, self.maps, self.openVolume, self.key, self.now) = (grant, maps, openVolume, key, now)
  }

  private var total: UInt64 { grant.disks.reduce(0) { $0 + Leaf.count(bytes: $1.size) } }

  /// How far it is, or how it ended.
  var answer: VerifyAnswer {
    state.withLock { $0.answer ?? VerifyAnswer(state: .reading, read: $0.read, total: total) }
  }

  /// Ends it at the next piece, when the gateway ends.
  func stop() { state.withLock { $0.isStopped = true } }

  func run() {
    do {
      let verification = try verify()
      let token = try CompactJWS.sign(verification, header: .init(typ: PointVerification.type), with: key)
      end(VerifyAnswer(state: .done, read: total, total: total, verification: token))
    } catch let problem as Problem {
      end(VerifyAnswer(state: .failed, read: 0, total: total, problem: problem))
    } catch { end(VerifyAnswer(state: .failed, read: 0, total: total, problem: .failed("\(error)"))) }
  }

  private func end(_ answer: VerifyAnswer) { state.withLock { $0.answer = answer } }

  private func verify() throws -> PointVerification {
    let started = now()
    var disks: [PointVerification.Disk] = []
    var before: UInt64 = 0
    for (index, disk) in grant.disks.enumerated() {
      let counts = grant.disks.enumerated().map { $0.offset == index ? Int(Leaf.count(bytes: $0.element.size)) : 0 }
      guard
        let picture = try LeafMap.picture(
          folder: maps[index], version: ReplicaStore.name(grant.session), size: disk.size, disk: index, counts: counts)
      else { throw Problem.noSuchSeal(grant.session) }
      let volume: any BlockWriter
      do { volume = try openVolume(disk) } catch { throw Problem.volumeRefused(disk.volume, "\(error)") }
      guard volume.size >= disk.size else {
        throw Problem.volumeRefused(disk.volume, "it has \(volume.size) bytes, the disk \(disk.size)")
      }
      let base = before
      let outcome = try VolumeCheck.compare(volume, size: disk.size, disk: index, with: picture) { done in
        state.withLock { state in
          state.read = base + done
          return !state.isStopped
        }
      }
      guard let outcome else { throw Problem.failed("the gateway is ending") }
      before += UInt64(picture.count(disk: index))
      disks.append(
        .init(
          volume: disk.volume, root: picture.root(disk: index), compared: outcome.compared, free: outcome.free,
          differing: outcome.differing, first: outcome.first))
    }
    return PointVerification(
      migration: grant.migration, session: grant.session, disks: disks, startedAt: started, endedAt: now())
  }
}

/// The readings of this life of the gateway, by their run.
final class PointReadings: Sendable {
  private struct State {
    var readings: [String: PointReading] = [:]
    var order: [String] = []
  }
  /// Readings whose outcome is still told.
  private static let kept = 64
  private let state = Mutex(State())

  /// The reading of this name; one that is new is made, and to be run.
  func reading(_ name: String, make: () throws -> PointReading) rethrows -> (reading: PointReading, isNew: Bool) {
    try state.withLock { state in
      if let known = state.readings[name] { return (known, false) }
      let made = try make()
      state.readings[name] = made
      state.order.append(name)
      if state.order.count > Self.kept { state.readings[state.order.removeFirst()] = nil }
      return (made, true)
    }
  }

  func stop() { for reading in state.withLock({ Array($0.readings.values) }) { reading.stop() } }
}
