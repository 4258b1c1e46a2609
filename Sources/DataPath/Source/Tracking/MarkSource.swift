internal import SystemPackage

/// What one rung knows of the requests of one disk. `DiskTracker` judges it.
///
/// Not safe from several threads at once, except against the kernel.
protocol MarkSource: AnyObject, Sendable {
  var rung: TrackingRung { get }

  /// Sectors of all requests seen since the source began.
  func seen() -> SeenSectors

  /// Requests that name no sectors of the disk.
  var bad: UInt64 { get }
  /// Reads of the self-test that were seen.
  var signatures: UInt64 { get }
  /// Requests that are known to have gone unseen, as far as the kernel counts them.
  var missed: UInt64 { get }

  /// Calls `body` with every range of blocks that was marked, before it forgets the marks.
  func drain(_ body: (Range<UInt64>) -> Void) throws(Errno)

  /// See `ChangeTracker.establish`. Survives the process where the source does.
  var isEstablished: Bool { get set }
}
