import Testing

@testable import Identity

struct PasswordTests {
  private static let cheap = PasswordHash.Cost(logRounds: 4, blockSize: 8, parallelism: 1)

  /// RFC 7914 section 12, the third vector: its first 32 bytes.
  @Test func `The derivation is scrypt`() async throws {
    let key = try await PasswordHash.derive(
      "pleaseletmein", Array("SodiumChloride".utf8), .init(logRounds: 14, blockSize: 8, parallelism: 1))
    #expect(
      key == [
        0x70, 0x23, 0xbd, 0xcb, 0x3a, 0xfd, 0x73, 0x48, 0x46, 0x1c, 0x06, 0xcd, 0x81, 0xfd, 0x38, 0xeb, 0xfd, 0xa8,
        0xfb, 0xba, 0x90, 0x4f, 0x8e, 0x3e, 0xa9, 0xb5, 0x43, 0xf6, 0x54, 0x5d, 0xa1, 0xf2
      ])
  }

  @Test func `A hash is matched by its password alone, and is another one each time`() async throws {
    let hash = try await PasswordHash.make("correct horse battery", cost: Self.cheap)
    #expect(hash.hasPrefix("$scrypt$ln=4,r=8,p=1$"))
    #expect(try await PasswordHash.make("correct horse battery", cost: Self.cheap) != hash)
    #expect(try await PasswordHash.matches("correct horse battery", hash, cost: .standard))
    for wrong in ["correct horse batterx", "", "Correct horse battery", "correct horse battery\0"] {
      #expect(try await !PasswordHash.matches(wrong, hash, cost: .standard))
    }
    #expect(try await !PasswordHash.matches("anything", nil, cost: Self.cheap))
    #expect(try await !PasswordHash.matches("anything", "damaged", cost: Self.cheap))
  }

  /// Composed by one keyboard, decomposed by another.
  @Test func `The same letters in another form of Unicode are the same password`() async throws {
    let hash = try await PasswordHash.make("Zu\u{308}rich-Genf-Basel", cost: Self.cheap)
    #expect(try await PasswordHash.matches("Z\u{FC}rich-Genf-Basel", hash, cost: Self.cheap))
  }

  /// RFC 6238 appendix B, SHA-1: the last six digits.
  @Test(arguments: [
    (59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (1_234_567_890, "005924"),
    (2_000_000_000, "279037"), (20_000_000_000, "353130")
  ]) func `Codes are those of the standard, and good once`(_ time: Int, _ code: String) {
    let secret = Array("12345678901234567890".utf8)
    #expect(TOTP.base32(secret) == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    let step = time / 30
    #expect(TOTP.code(secret, step: step) == code)
    for skew in [-30, 0, 30] { #expect(TOTP.step(of: code, secret, now: time + skew, after: 0) == step) }
    for skew in time < 60 ? [60] : [-60, 60] { #expect(TOTP.step(of: code, secret, now: time + skew, after: 0) == nil) }
    #expect(TOTP.step(of: code, secret, now: time, after: step) == nil)
  }

  @Test func `Pauses double after the free failures, up to 15 minutes`() {
    let pauses = (0...16).map { SignInLimit.pause(failures: $0, free: 5) }
    #expect(pauses.prefix(5).allSatisfy { $0 == 0 })
    #expect(Array(pauses[5...9]) == [1, 2, 4, 8, 16])
    #expect(pauses[16] == 900)
    #expect(SignInLimit.pause(failures: 4000, free: 5) == 900)
  }

  @Test(arguments: ["short", "aaaaaaaaaaaaaaaa", "somebody@example.org"]) func `Weak passwords are refused`(
    _ weak: String
  ) {
    #expect(throws: (any Error).self) { try SignIn.check(password: weak, email: "somebody@example.org") }
  }

  @Test(arguments: ["", "nobody", "a@b@c", "@b", "a@", "a b@c", "a@b\r\nX: y", "<a@b>"])
  func `What is no address is refused`(_ email: String) {
    #expect(throws: (any Error).self) { try SignIn.checked(email: email) }
  }
}
