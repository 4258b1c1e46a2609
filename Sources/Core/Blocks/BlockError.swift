/// Why a block operation failed, on what, and what to do.
public struct BlockError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The closed set of causes; each decides between retry, skip and abort.
  public enum Code: String, Hashable, Sendable {
    /// The request leaves the device: a fault of the caller.
    case outOfRange
    /// Offset or length is not a multiple of the device's alignment: a fault of the caller.
    case misaligned
    /// The medium refused to give the bytes (EIO and its kin).
    case unreadable
    /// The medium refused to take the bytes.
    case unwritable
    /// The store is full (ENOSPC, EDQUOT).
    case full
    /// The device is gone (ENXIO, ENODEV, a closed connection).
    case vanished
    /// The device could not be opened as asked.
    case cannotOpen
    /// The flush failed: what was written since the last good one may be lost.
    case notDurable
  }

  public var code: Code
  /// The call that failed, as the system names it: `pread`, `fdatasync`, `nbd_pwrite`.
  public var call: String
  /// The path or address of the device.
  public var device: String
  /// The byte offset the failure is about, where there is one.
  public var offset: UInt64?
  /// The system's own words, or the reason.
  public var reason: String

  public init(_ code: Code, call: String, device: String, offset: UInt64? = nil, reason: String) {
    self.code = code
    self.call = call
    self.device = device
    self.offset = offset
    self.reason = reason
  }

  public var description: String {
    let place = offset.map { " at byte \($0)" } ?? ""
    return "\(call) on \(device)\(place): \(reason) (\(code.rawValue))"
  }
}
