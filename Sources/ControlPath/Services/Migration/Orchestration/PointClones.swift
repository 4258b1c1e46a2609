import Wire
import Workflows

/// Volumes made from the snapshots of a point, one for each disk: to launch from, or to be read again.
extension Orchestrator {
  /// Asks for them; repeating is harmless.
  /// - Parameters:
  ///   - name: the id of a disk's clone.
  ///   - expiresAt: seconds since 1970; from then on the clouds service removes them by itself.
  func putClones(
    of point: PointRow, _ migration: MigrationRow, _ clouds: CloudsClient, expiresAt: Int?, name: (Int) -> String
  ) async throws {
    for (index, disk) in migration.disks.enumerated() {
      _ = try await clouds.putVolume(
        name(index),
        CloudsAPI.VolumeWish(
          target: migration.target, size: disk.size, fromSnapshot: point.snapshots[index], owner: migration.id,
          expiresAt: expiresAt))
    }
  }

  /// What to do while they are not all there; nil once they are.
  func waitForClones(
    _ migration: MigrationRow, _ clouds: CloudsClient, _ context: WorkflowContext, name: (Int) -> String
  ) async throws -> StepOutcome? {
    var states: [(id: String, state: CloudsAPI.State?, problem: Problem?)] = []
    for index in migration.disks.indices {
      let volume = try await clouds.volume(name(index))
      states.append((name(index), volume?.state, volume?.problem))
    }
    return waiting(context, states)
  }
}
