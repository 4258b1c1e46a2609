/// A bit for each block or leaf of a disk.
public struct Bitmap: Hashable, Sendable {
  /// How many bits there are.
  public let count: Int
  /// How many of them are set.
  public private(set) var population = 0
  private var words: [UInt64]

  /// All clear.
  public init(count: Int) {
    self.count = count
    words = [UInt64](repeating: 0, count: (count + 63) / 64)
  }

  /// From bytes, least significant bit first, as they travel; bytes that are missing count as zeros.
  public init(count: Int, bytes: some Collection<UInt8>) {
    self.init(count: count)
    for (index, byte) in bytes.enumerated().prefix((count + 7) / 8) {
      words[index / 8] |= UInt64(byte) << UInt64(index % 8 * 8)
    }
    if count % 64 != 0, let last = words.indices.last { words[last] &= (1 << UInt64(count % 64)) - 1 }
    population = words.reduce(0) { $0 + $1.nonzeroBitCount }
  }

  /// As bytes, least significant bit first.
  public var bytes: [UInt8] {
    (0..<(count + 7) / 8).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> UInt64($0 % 8 * 8)) }
  }

  public var isEmpty: Bool { population == 0 }

  public subscript(index: Int) -> Bool {
    get { words[index >> 6] & (1 << UInt64(index & 63)) != 0 }
    set {
      let (word, bit) = (index >> 6, UInt64(1) << UInt64(index & 63))
      let was = words[word] & bit != 0
      guard was != newValue else { return }
      words[word] ^= bit
      population += newValue ? 1 : -1
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
    for index in words.indices {
      let new = other.words[index] & ~words[index]
      words[index] |= new
      population += new.nonzeroBitCount
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
    var word = start >> 6
    var bits = (inverted ? ~words[word] : words[word]) & (~0 << UInt64(start & 63))
    while bits == 0 {
      word += 1
      guard word < words.count else { return nil }
      bits = inverted ? ~words[word] : words[word]
    }
    let index = word << 6 + bits.trailingZeroBitCount
    return index < count ? index : nil
  }

  private mutating func change(_ range: Range<Int>, to value: Bool) {
    var index = range.lowerBound
    while index < range.upperBound {
      let end = min(range.upperBound, (index >> 6 + 1) << 6)
      let mask: UInt64 = (end - index == 64 ? UInt64.max : (UInt64(1) << UInt64(end - index)) - 1) << UInt64(index & 63)
      let old = words[index >> 6]
      words[index >> 6] = value ? old | mask : old & ~mask
      population += words[index >> 6].nonzeroBitCount - old.nonzeroBitCount
      index = end
    }
  }
}
