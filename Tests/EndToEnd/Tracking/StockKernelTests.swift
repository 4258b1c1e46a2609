import Foundation
import Testing

/// The static agent, in `make test` its debug build, on a kernel as Debian ships it: one boot of the torture in guests
/// (Tests/support/guests).
@Suite(.serialized, .timeLimit(.minutes(10))) struct StockKernelTests {
  @Test func `on virtio, NVMe and SCSI disks every point equals its disks as they were frozen`() throws {
    let script = try Script("Tests/support/guests/run", ["--short"])
    let text = script.text
    #expect(script.status == 0, "\(text)")
    for disk in ["virtio  ext4   tp_btf", "nvme    xfs    tp_btf", "scsi    btrfs  tp_btf"] {
      #expect(text.contains(disk), "\(text)")
    }
    // Full, under load, after a kill, and final.
    #expect(text.components(separatedBy: ", points 4, misses 0,").count == 4, "\(text)")
    #expect(text.contains("adopted 1,"), "\(text)")
  }
}
