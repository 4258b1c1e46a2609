import Testing

@testable import Transport

@Suite("The date of an answer")
struct GreetingTests {
  @Test(
    "A date of HTTP is read to the second",
    arguments: [
      ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
      ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199), ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
      ("Tue, 31 Dec 2999 12:00:00 GMT", 32_503_636_800)
    ])
  func dates(text: String, seconds: Int) {
    #expect(SecureClient.seconds(ofDate: text) == seconds)
  }

  @Test(
    "What is no such date is none",
    arguments: ["", "yesterday", "Sun, 06 Nov 1994 08:49:37 CET", "a b c d e f g h"])
  func none(text: String) {
    #expect(SecureClient.seconds(ofDate: text) == nil)
  }
}
