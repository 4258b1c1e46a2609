import Crypto
import Foundation

/// Time-based one-time passwords (RFC 6238) as every authenticator knows them: SHA-1, 30 s, 6 digits.
enum TOTP {
  static let period = 30

  /// The code of a step: seconds since 1970 by `period`.
  static func code(_ secret: [UInt8], step: Int) -> String {
    let counter = withUnsafeBytes(of: UInt64(step).bigEndian, Array.init)
    let mac = Array(HMAC<Insecure.SHA1>.authenticationCode(for: counter, using: SymmetricKey(data: secret)))
    let offset = Int(mac[19] & 15)
    let number = mac[offset..<offset + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
    let digits = String(number % 1_000_000)
    return String(repeating: "0", count: 6 - digits.count) + digits
  }

  /// The step whose code this is, one before or after now at most, and later than `last`.
  static func step(of code: String, _ secret: [UInt8], now: Int, after last: Int) -> Int? {
    let current = now / period
    return (current - 1...current + 1).first { step in
      step > last && SHA256.hash(data: Data(Self.code(secret, step: step).utf8)) == SHA256.hash(data: Data(code.utf8))
    }
  }

  /// RFC 4648, without padding.
  static func base32(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    var (text, bits, count) = ("", UInt32(0), 0)
    for byte in bytes {
      (bits, count) = ((bits << 8 | UInt32(byte)) & 0xFFFF, count + 8)
      while count >= 5 {
        count -= 5
        text.append(alphabet[Int(bits >> UInt32(count)) & 31])
      }
    }
    if count > 0 { text.append(alphabet[Int(bits << UInt32(5 - count)) & 31]) }
    return text
  }
}
