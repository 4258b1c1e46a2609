/// The name of one qcow2 file: 24 hexadecimal digits, never used twice.
struct LayerID: RawRepresentable, Codable, Hashable, Sendable {
  var rawValue: String

  static func random() -> LayerID {
    let digits = (0..<12).map { _ in
      let byte = UInt8.random(in: .min ... .max)
      return String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }
    return LayerID(rawValue: digits.joined())
  }
}
