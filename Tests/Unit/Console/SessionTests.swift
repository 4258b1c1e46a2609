import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit
import Testing
import Wire

@testable import Console

@Suite struct ConsoleSessionTests {
  private func request(_ headers: HTTPFields) -> Request {
    Request(
      head: .init(method: .post, scheme: "https", authority: "godwit.test:8443", path: "/en", headerFields: headers),
      body: .init(buffer: ByteBuffer()))
  }

  private func form(_ token: String) -> Form { Form("form_token=" + token) }

  @Test("a form of a page of the same session is taken, by Sec-Fetch-Site or by Origin")
  func ownForms() throws {
    let token = FormGuard.token("seed")
    try FormGuard.check(request([.secFetchSite: "same-origin"]), form(token), seed: "seed")
    try FormGuard.check(request([.origin: "https://godwit.test:8443"]), form(token), seed: "seed")
    try FormGuard.check(
      request([.origin: "https://front.test", .forwardedHost: "front.test", .secFetchSite: "same-origin"]), form(token),
      seed: "seed")
  }

  @Test(
    "every other form is refused",
    arguments: [
      [HTTPField.Name.secFetchSite: "cross-site"], [.secFetchSite: "same-site"], [.secFetchSite: "none"], [:],
      [.origin: "https://evil.test"], [.origin: "null"],
      [.secFetchSite: "same-origin", .origin: "https://evil.test"],
      [.origin: "https://godwit.test:8443", .forwardedHost: "front.test"]
    ])
  func foreignForms(headers: [HTTPField.Name: String]) {
    var fields = HTTPFields()
    for (name, value) in headers { fields[name] = value }
    #expect(throws: Problem.self) {
      try FormGuard.check(request(fields), form(FormGuard.token("seed")), seed: "seed")
    }
  }

  @Test("a token of another session, or none, is refused")
  func tokens() {
    let own = request([.secFetchSite: "same-origin"])
    for token in ["", FormGuard.token("other"), FormGuard.token("seed").lowercased() + "x"] {
      #expect(throws: Problem.self) { try FormGuard.check(own, form(token), seed: "seed") }
    }
    #expect(throws: Problem.self) { try FormGuard.check(own, form(FormGuard.token("seed")), seed: nil) }
  }

  @Test("fields of a form are decoded; an empty one is none")
  func forms() {
    let form = Form("a=1+2%2B3&b=&a=second&c=%E4%BD%A0&d&e=%ZZ&f=+++")
    #expect(form["a"] == "1 2+3")
    #expect(form.all("a") == ["1 2+3", "second"])
    #expect(form["b"] == nil && form["d"] == nil && form["e"] == nil && form["f"] == nil)
    #expect(form["c"] == "\u{4F60}")
  }

  @Test("a sign-in that waits opens only where it was sealed, unchanged and in time")
  func pending() throws {
    let box = PendingSignIn.Box()
    let pending = PendingSignIn(email: "a@b.c", password: "secret words", until: 1000)
    let sealed = try box.seal(pending)
    #expect(!sealed.contains("secret"))
    #expect(box.open(sealed, now: 999) == pending)
    #expect(box.open(sealed, now: 1000) == nil)
    #expect(PendingSignIn.Box().open(sealed, now: 999) == nil)
    var changed = try #require(Base64URL.decode(sealed))
    changed[changed.count - 20] ^= 1
    #expect(box.open(Base64URL.encode(changed), now: 999) == nil)
    #expect(box.open("", now: 0) == nil)
  }

  @Test(
    "the language is the one that the browser likes best",
    arguments: [
      ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"), ("en-GB,en;q=0.9,zh;q=0.8", "en"), ("de,fr;q=0.5", "en"),
      ("en;q=0.1, zh-TW;q=0.7", "zh-CN"), ("", "en"), (";;,,q=", "en")
    ])
  func languages(header: String, expected: String) {
    #expect(Language.preferred(header).rawValue == expected)
  }

  @Test("cells of a table are quoted, and are no formulas")
  func cells() {
    #expect(MigrationListPage.cell("a\"b,c") == "\"a\"\"b,c\"")
    for text in ["=1+1", "+1", "-1", "@x", "\t=1"] { #expect(MigrationListPage.cell(text).hasPrefix("\"'")) }
  }
}
