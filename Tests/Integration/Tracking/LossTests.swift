import Blocks
import Foundation
import Source
import Testing
import Volumes

@Suite("Lost events", .serialized, .timeLimit(.minutes(3)))
struct LossTests {
  private static let trials = 40

  /// Writes single blocks past the page cache until `isEnough`, at most 20,000.
  private static func write(to disk: LoopDisk, until isEnough: (Int) -> Bool) throws {
    let device = try BlockDevice(path: disk.path, readOnly: false)
    let buffer = AlignedBuffer(count: 4096)
    for count in 1...20_000 {
      let bytes = unsafe RawSpan(_unsafeBytes: buffer.unsafeBytes)
      try device.write(bytes, at: UInt64.random(in: 0..<device.size / 4096) * 4096)
      if isEnough(count) { return }
    }
  }

  @Test(
    "A tracker that loses one event in a thousand is caught by the counters each time",
    arguments: [TrackingRung.typed, .perf])
  func negativeControl(rung: TrackingRung) throws {
    let caught = try Self.lossesCaught(trials: Self.trials, rung)
    #expect(caught == Self.trials)
    print("\(rung.rawValue): \(caught) of \(Self.trials) lossy runs caught")
  }

  /// Runs lossy trackers until `trials` of them have lost an event.
  /// - Returns: how many of these were caught; the others are recorded as issues.
  static func lossesCaught(trials: Int, _ rung: TrackingRung) throws -> Int {
    try LoopDisk.with(size: 64 << 20) { disk in
      var (caught, hit) = (0, 0)
      while hit < trials {
        // The coin may fall on a read of the self-test.
        guard let tracker = try? KernelTracker(disks: [disk.name], rungs: [rung], dropsOneIn: 1000) else { continue }
        defer { tracker.stop() }
        let before = tracker.dropped
        try write(to: disk) { _ in tracker.dropped > before }
        guard tracker.dropped > before else { continue }
        hit += 1
        switch tracker.verify(.quiescent) {
        case .countersDiffer(_, let seen, let written): #expect(seen < written)
        // Where the kernel itself skipped some as well, it may say so first.
        case .eventsMissed: break
        case let other:
          Issue.record("\(tracker.dropped - before) lost, and the verdict is \(String(describing: other))")
          continue
        }
        // Final, whatever is asked next.
        guard case .unknown = tracker.take(), !tracker.isEstablished else {
          Issue.record("a void tracker answered a take")
          continue
        }
        caught += 1
      }
      return caught
    }
  }

  @Test("A tracker that loses nothing is not accused")
  func control() throws {
    try LoopDisk.with(size: 64 << 20) { disk in
      var verdicts: [VoidReason?] = []
      for _ in 0..<10 {
        let tracker = try KernelTracker(disks: [disk.name], rungs: [.perf])
        defer { tracker.stop() }
        try Self.write(to: disk) { $0 == 1000 }
        verdicts.append(tracker.verify(.quiescent))
      }
      // Some kernels skip programs now and then by themselves; that is no false accusation, but no rule either.
      #expect(verdicts.count { $0 == nil } >= 5)
    }
  }
}
