/// A bit for each block or leaf of a disk.
///
/// Stretches in which all bits are equal cost next to nothing: most of what is known of a large disk is alike over long
/// stretches, and the agent keeps several of these for each disk.
public struct Bitmap: Hashable, Sendable {
  /// How many bits there are.
  public let count: Int
  /// How many of them are set.
  public private(set) var population = 0
  private var chunks: [Chunk]

  /// Consecutive words; all have `size`, only the last may have fewer.
  private struct Chunk: Hashable, Sendable {
    static let size = 512
    static let bits = size * 64
    // Shared by all chunks that are like this.
    static let clear = [UInt64](repeating: 0, count: size)
    static let set = [UInt64](repeating: .max, count: size)

    var population = 0
    var words: [UInt64]

    /// Replaces a word, and says by how much the population grew.
    mutating func store(_ value: UInt64, at index: Int) -> Int {
      let old = words[index]
      if old == value { return 0 }
      words[index] = value
      let grown = value.nonzeroBitCount - old.nonzeroBitCount
      population += grown
      if words.count == Self.size {
        if population == 0 { words = Self.clear } else if population == Self.bits { words = Self.set }
      }
      return grown
    }

    /// Sets or clears all of a chunk of full size, and says by how much the population grew.
    mutating func fill(_ value: Bool) -> Int {
      let old = population
      (population, words) = value ? (Self.bits, Self.set) : (0, Self.clear)
      return population - old
    }
  }

  /// All clear.
  public init(count: Int) {
    self.count = count
    let words = (count + 63) / 64
    chunks = Array(repeating: Chunk(words: Chunk.clear), count: words / Chunk.size)
    if words % Chunk.size > 0 { chunks.append(Chunk(words: Array(repeating: 0, count: words % Chunk.size))) }
  }

  /// From bytes, least significant bit first, as they travel; bytes that are missing count as zeros.
  public init(count: Int, bytes: some Collection<UInt8>) {
    self.init(count: count)
    var rest = bytes.prefix((count + 7) / 8)[...]
    var index = 0
    while !rest.isEmpty {
      var word: UInt64 = 0
      for (place, byte) in rest.prefix(8).enumerated() { word |= UInt64(byte) << UInt64(place * 8) }
      if index == count / 64 { word &= (1 << UInt64(count % 64)) - 1 }
      store(word, at: index)
      rest = rest.dropFirst(8)
      index += 1
    }
  }

  private var wordCount: Int { (count + 63) / 64 }

  private func word(_ index: Int) -> UInt64 { chunks[index / Chunk.size].words[index % Chunk.size] }

  private mutating func store(_ value: UInt64, at index: Int) {
    population += chunks[index / Chunk.size].store(value, at: index % Chunk.size)
  }

  /// As bytes, least significant bit first.
  public var bytes: [UInt8] {
    (0..<(count + 7) / 8).map { UInt8(truncatingIfNeeded: word($0 / 8) >> UInt64($0 % 8 * 8)) }
  }

  public var isEmpty: Bool { population == 0 }

  public subscript(index: Int) -> Bool {
    get { word(index >> 6) & (1 << UInt64(index & 63)) != 0 }
    set {
      let bit = UInt64(1) << UInt64(index & 63)
      let old = word(index >> 6)
      store(newValue ? old | bit : old & ~bit, at: index >> 6)
    }
  }

  /// Sets every bit of `range`.
  public mutating func insert(_ range: Range<Int>) { change(range, to: true) }

  /// Clears every bit of `range`.
  public mutating func remove(_ range: Range<Int>) { change(range, to: false) }

  /// Clears every bit.
  public mutating func removeAll() { self = Bitmap(count: count) }

  /// Sets every bit that is set in `other`, which has the same count.
  public mutating func formUnion(_ other: Bitmap) {
    for index in chunks.indices where other.chunks[index].population > 0 {
      for place in chunks[index].words.indices {
        population += chunks[index].store(chunks[index].words[place] | other.chunks[index].words[place], at: place)
      }
    }
  }

  /// The first set bit at `start` or after it.
  public func next(from start: Int) -> Int? { first(from: start, inverted: false) }

  /// The first clear bit at `start` or after it.
  public func nextClear(from start: Int) -> Int? { first(from: start, inverted: true) }

  /// The longest run of set bits that starts at `start` or after it, nil where there is none.
  public func run(from start: Int) -> Range<Int>? {
    guard let lower = next(from: start) else { return nil }
    return lower..<(nextClear(from: lower) ?? count)
  }

  /// Whether any bit of `range` is set.
  public func intersects(_ range: Range<Int>) -> Bool { next(from: range.lowerBound).map(range.contains) ?? false }

  /// Whether every bit of `range` is set.
  public func contains(_ range: Range<Int>) -> Bool {
    (nextClear(from: range.lowerBound) ?? count) >= range.upperBound
  }

  private func first(from start: Int, inverted: Bool) -> Int? {
    guard start < count else { return nil }
    var index = start >> 6
    var mask: UInt64 = ~0 << UInt64(start & 63)
    while index < wordCount {
      let chunk = chunks[index / Chunk.size]
      if chunk.population == (inverted ? Chunk.bits : 0) {
        index = (index / Chunk.size + 1) * Chunk.size
      } else {
        let word = chunk.words[index % Chunk.size]
        let bits = (inverted ? ~word : word) & mask
        if bits != 0 {
          let found = index << 6 + bits.trailingZeroBitCount
          return found < count ? found : nil
        }
        index += 1
      }
      mask = ~0
    }
    return nil
  }

  private mutating func change(_ range: Range<Int>, to value: Bool) {
    var index = range.lowerBound
    while index < range.upperBound {
      let chunk = index / Chunk.bits
      if index % Chunk.bits == 0, index + Chunk.bits <= range.upperBound, chunks[chunk].words.count == Chunk.size {
        population += chunks[chunk].fill(value)
        index += Chunk.bits
        continue
      }
      let end = min(range.upperBound, (index >> 6 + 1) << 6)
      let mask: UInt64 = (end - index == 64 ? UInt64.max : (UInt64(1) << UInt64(end - index)) - 1) << UInt64(index & 63)
      let old = word(index >> 6)
      store(value ? old | mask : old & ~mask, at: index >> 6)
      index = end
    }
  }
}
