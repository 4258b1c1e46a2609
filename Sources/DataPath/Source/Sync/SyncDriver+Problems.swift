import Replication
import Wire

/// What is wrong with a sync's target or source, in words.
extension SyncDriver {
  /// The failure of a sync whose target does not keep what it is given.
  static func unreliable(leaves: Int, rounds: Int) -> SyncFailure {
    SyncFailure(
      code: "target_unreliable",
      message: "the target does not keep what is written: \(differing(leaves: leaves, rounds: rounds)). Check the "
        + "target's volume and its storage, or replace the volume; then start a sync that compares")
  }

  /// What keeps a sync that may not end from its seal; nil where nothing does.
  func problem(_ progress: SyncMachine.Progress) -> String? {
    if progress.mismatches >= settings.machine.mismatchRounds {
      return "the target does not keep what is written: "
        + Self.differing(leaves: progress.differing, rounds: progress.mismatches)
        + ". The source stands still and the seal is asked for again; check the target's volume, or end the switch"
    }
    if progress.isDisturbed {
      return
        "something on the source that cannot be frozen is written all the time, also while it stands still for its "
        + "final seal: what it wrote may be torn on the target; stop it with a pre-switch hook"
    }
    return nil
  }

  private static func differing(leaves: Int, rounds: Int) -> String {
    "in \(rounds) seals, one after the other, something read back differently after it was sent again, "
      + "\(leaves) leaves of 64 KiB in the last one"
  }
}
