/// The number of a take as the byte that pending marks have room for. Bytes repeat every 255 takes; comparisons hold as
/// long as the two takes are less than 128 apart.
struct Generation: Equatable {
  /// Takes that may pass before the mark of a take can no longer be told from that of a later one.
  static let window: UInt64 = 120

  /// 1...255; 0 stands for no mark.
  let byte: UInt8

  init(_ number: TakeNumber) { byte = UInt8(number.rawValue % 255) + 1 }

  /// Whether `mark` is of this take or one of the takes shortly before it.
  func covers(_ mark: UInt8) -> Bool { (Int(byte) - Int(mark) + 255) % 255 < 128 }
}
