/// The kernel's own description of its types (/sys/kernel/btf/vmlinux), as far as the tracker asks.
struct BTFTypes {
  private enum Kind: UInt32 {
    case int = 1
    case array = 3
    case structure = 4
    case union = 5
    case enumeration = 6
    case typedef = 8
    case prototype = 13
    case variable = 14
    case section = 15
    case tag = 17
    case enumeration64 = 19
  }

  private let bytes: [UInt8]
  private let strings: Int
  /// Where each type's record begins, by id.
  private var places: [Int] = [0]

  /// Nil where `bytes` is not BTF.
  init?(_ bytes: [UInt8]) {
    self.bytes = bytes
    guard bytes.count >= 24, bytes[0] == 0x9f, bytes[1] == 0xeb else { return nil }
    func header(_ offset: Int) -> Int { Int(Self.word(bytes, offset)) }
    let start = header(4)
    strings = start + header(16)
    var place = start + header(8)
    let end = place + header(12)
    guard end <= bytes.count, strings <= bytes.count else { return nil }
    while place + 12 <= end {
      places.append(place)
      place += 12 + Self.tail(Self.word(bytes, place + 4))
    }
  }

  /// Bytes that follow the common twelve of a type.
  private static func tail(_ info: UInt32) -> Int {
    let members = Int(info & 0xffff)
    return switch Kind(rawValue: info >> 24 & 0x1f) {
    case .int, .variable, .tag: 4
    case .array: 12
    case .structure, .union, .section, .enumeration64: 12 * members
    case .enumeration, .prototype: 8 * members
    case .typedef, nil: 0
    }
  }

  /// The id of a typedef.
  func typedef(_ name: String) -> UInt32? {
    find(name, .typedef).map { UInt32($0) }
  }

  /// The byte offset of a member of a structure, also inside its nameless parts.
  func offset(of member: String, in structure: String) -> Int? {
    find(structure, .structure).flatMap { offset(of: Array(member.utf8), inType: $0) }
  }

  private func find(_ name: String, _ kind: Kind) -> Int? {
    let wanted = Array(name.utf8)
    return places.indices.dropFirst().first { id in
      word(places[id] + 4) >> 24 & 0x1f == kind.rawValue && hasName(at: places[id], wanted)
    }
  }

  private func offset(of member: [UInt8], inType id: Int) -> Int? {
    let place = places[id]
    let info = word(place + 4)
    let hasBitfields = info >> 31 == 1
    for index in 0..<Int(info & 0xffff) {
      let entry = place + 12 + 12 * index
      let bits = Int(hasBitfields ? word(entry + 8) & 0xffffff : word(entry + 8))
      if hasName(at: entry, member) { return bits / 8 }
      let type = Int(word(entry + 4))
      let isNameless = bytes[strings + Int(word(entry))] == 0
      let kind = word(places[type] + 4) >> 24 & 0x1f
      guard isNameless, kind == Kind.structure.rawValue || kind == Kind.union.rawValue else { continue }
      if let inner = offset(of: member, inType: type) { return bits / 8 + inner }
    }
    return nil
  }

  /// Whether the record at `place`, which begins with the offset of its name, bears `name`.
  private func hasName(at place: Int, _ name: [UInt8]) -> Bool {
    let start = strings + Int(word(place))
    guard start + name.count < bytes.count, bytes[start + name.count] == 0 else { return false }
    return bytes[start..<start + name.count].elementsEqual(name)
  }

  private func word(_ offset: Int) -> UInt32 { Self.word(bytes, offset) }

  private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
    bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
  }
}

/// Where the kernel keeps what the tracker reads of a request.
struct RequestLayout: Equatable {
  /// The id of the tracepoint's type, to attach to.
  var tracepoint: UInt32
  /// Pointers to follow from the request to its disk.
  var pathToDisk: [Int]
  var sector: Int
  var flags: Int
  var major: Int
  var firstMinor: Int
}

extension RequestLayout {
  /// Nil where this kernel's types are not as we know them.
  init?(_ types: BTFTypes) {
    guard let tracepoint = types.typedef("btf_trace_block_rq_complete"),
      let sector = types.offset(of: "__sector", in: "request"),
      let flags = types.offset(of: "cmd_flags", in: "request"),
      let major = types.offset(of: "major", in: "gendisk"),
      let firstMinor = types.offset(of: "first_minor", in: "gendisk")
    else { return nil }
    if let disk = types.offset(of: "rq_disk", in: "request") {
      // Before Linux 5.17.
      pathToDisk = [disk]
    } else if let queue = types.offset(of: "q", in: "request"),
      let disk = types.offset(of: "disk", in: "request_queue")
    {
      pathToDisk = [queue, disk]
    } else {
      return nil
    }
    (self.tracepoint, self.sector, self.flags) = (tracepoint, sector, flags)
    (self.major, self.firstMinor) = (major, firstMinor)
  }
}
