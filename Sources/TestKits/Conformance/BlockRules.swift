public import Blocks

/// A promise of `BlockWriter`, checked against a volume of at least 8 MiB whose content does not matter. Throws when it
/// is not kept.
public struct BlockRule: Sendable, CustomStringConvertible {
  public var name: String
  public var check: @Sendable (any BlockWriter) throws -> Void
  public var description: String { name }
}

/// What a `BlockRule` found.
public struct BlockRuleBroken: Error, CustomStringConvertible {
  public var description: String
}

public enum BlockRules {
  public static let all: [BlockRule] = [
    BlockRule(name: "what was written is read back", check: writesAreRead),
    BlockRule(name: "a write changes nothing beside it", check: neighboursStay),
    BlockRule(name: "the last bytes can be written and read", check: lastBytes),
    BlockRule(name: "a zeroed range reads as zeros, and only it", check: zeroesRange),
    BlockRule(name: "an empty request is answered", check: emptyRequests),
    BlockRule(name: "a request that leaves the device is refused and changes nothing", check: outOfRange),
    BlockRule(name: "a request that is not aligned is refused", check: misaligned),
    BlockRule(name: "memory need not be aligned", check: unalignedMemory),
    BlockRule(name: "4 MiB in one request", check: largestRequest),
    BlockRule(name: "writing the same again changes nothing", check: repeatable),
    BlockRule(name: "everything is still there after a flush", check: flushKeeps),
    BlockRule(name: "several threads write apart from each other", check: parallelWrites)
  ]

  static func expect(_ holds: Bool, _ message: @autoclosure () -> String) throws {
    if !holds { throw BlockRuleBroken(description: message()) }
  }

  /// Runs `body` and insists that it fails with `code`.
  static func expect(_ code: BlockError.Code, _ what: String, _ body: () throws(BlockError) -> Void) throws {
    do throws(BlockError) {
      try body()
    } catch {
      return try expect(error.code == code, "\(what): \(error), not \(code)")
    }
    throw BlockRuleBroken(description: "\(what) was accepted, and should be \(code)")
  }

  /// Bytes that tell their place: no two ranges and no two salts look alike.
  static func pattern(_ count: Int, salt: UInt64) -> [UInt8] {
    var state = salt &* 0x9e37_79b9_7f4a_7c15 | 1
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
  }

  static func write(_ bytes: [UInt8], _ volume: any BlockWriter, at offset: UInt64) throws(BlockError) {
    try volume.write(bytes.span.bytes, at: offset)
  }

  static func read(_ count: Int, _ volume: any BlockWriter, at offset: UInt64) throws(BlockError) -> [UInt8] {
    // Filled with something else than zeros, so that bytes nobody filled are noticed.
    var bytes = [UInt8](repeating: 0xa5, count: count)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    try volume.read(into: &raw, at: offset)
    return bytes
  }

  static func expect(_ volume: any BlockWriter, at offset: UInt64, holds bytes: [UInt8], _ what: String) throws {
    let found = try read(bytes.count, volume, at: offset)
    let wrong = zip(found, bytes).enumerated().first { $0.element.0 != $0.element.1 }?.offset
    try expect(wrong == nil, "\(what): byte \(offset + UInt64(wrong ?? 0)) differs")
  }
}
