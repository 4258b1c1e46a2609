import Blocks
import Foundation
import Source
import Testing
import Volumes

@Suite("Tracking by the kernel", .serialized, .timeLimit(.minutes(5)))
struct KernelTrackerTests {
  @Test(
    "Every block that changes under mixed load is named by a take",
    arguments: [(TrackingRung.typed, "ext4"), (.perf, "xfs")])
  func missesNothing(rung: TrackingRung, filesystem: String) throws {
    try LoopDisk.with(size: 320 << 20) { disk in
      try disk.mount(filesystem)
      let load = try WriteLoad(in: disk.mountPoint)
      defer { load.stop() }
      let mounted = try #require(MountedFilesystem.on(disks: [disk.name]).first)
      #expect(mounted.mountPoint == disk.mountPoint)
      var (comparisons, differing, longest, voids) = (0, 0, Duration.zero, 0)
      let began = ContinuousClock.now
      // Where the kernel skips events, proving enough comparisons takes longer.
      func isDone(_ proven: Int) -> Bool {
        let elapsed = ContinuousClock.now - began
        return elapsed > (proven >= 3 ? .seconds(10) : proven >= 1 ? .seconds(60) : .seconds(150))
      }
      while !isDone(comparisons) {
        let tracker = try KernelTracker(disks: [disk.name], rungs: [rung])
        defer { tracker.stop() }
        #expect(tracker.rung == rung.rawValue)
        var brute = try BruteForce(tracker, path: disk.path)
        do {
          while !isDone(comparisons + brute.comparisons) {
            for _ in 0..<3 {
              usleep(150_000)
              try brute.follow()
            }
            try brute.compare(mounted)
          }
        } catch let reason as VoidReason {
          // Some kernels skip programs now and then. What counts is that it was noticed.
          print("void:", reason)
          voids += 1
        }
        #expect(brute.missed == [])
        comparisons += brute.comparisons
        differing += brute.differing
        longest = max(longest, brute.freezes.max() ?? .zero)
      }
      // A kernel that skips many events proves few; every one that is proven counts.
      #expect(comparisons >= 1)
      #expect(differing > 100)
      print(
        "\(rung.rawValue) on \(filesystem): \(comparisons) comparisons proven, \(voids) void,",
        "\(differing) blocks differing, 0 missed; longest freeze", longest)
    }
  }
}
