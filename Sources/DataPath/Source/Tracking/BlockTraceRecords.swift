/// Reads the records of the kernel's block tracer (`struct blk_io_trace`) from the bytes of one processor's file.
struct BlockTraceRecords {
  /// One event of a request.
  struct Event: Equatable {
    enum Kind: Equatable {
      case read, write, discard
      /// A discard on its way: its own range, before it is joined with others.
      case queuedDiscard
      /// Names no sectors of the disk.
      case passthroughWrite
    }
    var kind: Kind
    var sector: UInt64
    var sectors: UInt64
  }

  private static let headerSize = 48
  private static let magic: UInt32 = 0x6561_7400

  /// The categories of an action, in its upper half.
  private enum Category {
    static let write: UInt32 = 1 << 1
    static let complete: UInt32 = 1 << 7
    static let passthrough: UInt32 = 1 << 9
    static let notify: UInt32 = 1 << 10
    static let discard: UInt32 = 1 << 13
  }

  /// Actions, in the lower byte.
  private static let queued: UInt32 = 1
  private static let completed: UInt32 = 8

  /// Bytes of a record whose end has not come yet.
  private var rest: [UInt8] = []
  /// Something came that is no record: what follows cannot be told apart any more.
  private(set) var isBroken = false

  /// Takes the next bytes of the file and calls `body` with every event that they complete.
  mutating func feed(_ bytes: UnsafeRawBufferPointer, _ body: (Event) -> Void) {
    rest.append(contentsOf: bytes)
    var start = 0
    rest.withUnsafeBytes { all in
      while !isBroken, all.count - start >= Self.headerSize {
        guard all.word(start) & 0xffff_ff00 == Self.magic else {
          isBroken = true
          return
        }
        let length = Self.headerSize + Int(all.loadUnaligned(fromByteOffset: start + 46, as: UInt16.self))
        if all.count - start < length { return }
        if let event = Self.event(all, start) { body(event) }
        start += length
      }
    }
    rest.removeFirst(isBroken ? rest.count : start)
  }

  private static func event(_ all: UnsafeRawBufferPointer, _ start: Int) -> Event? {
    let action = all.word(start + 28)
    let category = action >> 16
    if category & Category.notify != 0 { return nil }
    let sector = all.loadUnaligned(fromByteOffset: start + 16, as: UInt64.self)
    let sectors = UInt64(all.word(start + 24)) / 512
    // A flush names none.
    if sectors == 0 { return nil }
    let isDiscard = category & Category.discard != 0
    if action & 0xff == queued {
      return isDiscard ? Event(kind: .queuedDiscard, sector: sector, sectors: sectors) : nil
    }
    guard action & 0xff == completed, category & Category.complete != 0 else { return nil }
    let isWrite = category & Category.write != 0
    if category & Category.passthrough != 0 {
      return isWrite ? Event(kind: .passthroughWrite, sector: sector, sectors: sectors) : nil
    }
    return Event(kind: isDiscard ? .discard : isWrite ? .write : .read, sector: sector, sectors: sectors)
  }
}

extension UnsafeRawBufferPointer {
  fileprivate func word(_ offset: Int) -> UInt32 { loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
}
