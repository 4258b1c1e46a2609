import Blocks
import Foundation
import Source
import Testing
import Volumes

@Suite("Tracking by eBPF", .serialized, .timeLimit(.minutes(3)))
struct BPFTrackerTests {
  @Test(
    "Every block that changes under mixed load is named by a take",
    arguments: [(TrackingRung.typed, "ext4"), (.perf, "xfs")])
  func missesNothing(rung: TrackingRung, filesystem: String) throws {
    try LoopDisk.with(size: 320 << 20) { disk in
      try disk.mount(filesystem)
      let load = try WriteLoad(in: disk.mountPoint)
      defer { load.stop() }
      let tracker = try BPFTracker(disks: [disk.name], rungs: [rung])
      defer { tracker.stop() }
      #expect(tracker.rung == rung.rawValue)
      let mounted = try #require(MountedFilesystem.on(disks: [disk.name]).first)
      #expect(mounted.mountPoint == disk.mountPoint)
      var brute = try BruteForce(tracker, path: disk.path)
      let end = ContinuousClock.now + .seconds(10)
      while ContinuousClock.now < end {
        for _ in 0..<3 {
          usleep(150_000)
          try brute.follow()
        }
        try brute.compare(mounted)
      }
      #expect(brute.missed == [])
      #expect(brute.comparisons >= 3)
      #expect(brute.differing > 100)
      print(
        "\(rung.rawValue) on \(filesystem): \(brute.comparisons) comparisons, \(brute.taken) blocks taken,",
        "\(brute.differing) differing when frozen, \(brute.missed.count) missed; longest freeze",
        brute.freezes.max() ?? .zero)
    }
  }
}
