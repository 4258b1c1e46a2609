import Testing

@testable import Transport

@Suite struct ConnectionSettingsTests {
  @Test func `a proxy's address is taken apart`() throws {
    let full = try #require(ConnectionSettings.Proxy(parsing: "http://us%40er:p%3Aw@proxy.example:8080/"))
    #expect((full.host, full.port) == ("proxy.example", 8080))
    #expect(full.user == "us@er")
    #expect(full.password == "p:w")
    let bare = try #require(ConnectionSettings.Proxy(parsing: "10.0.0.1"))
    #expect((bare.host, bare.port, bare.user) == ("10.0.0.1", 3128, nil))
    let six = try #require(ConnectionSettings.Proxy(parsing: "http://[::1]:99"))
    #expect((six.host, six.port) == ("::1", 99))
  }

  @Test(arguments: ["", "https://proxy:1", "socks5://proxy:1", "proxy:0", "proxy:x", "http://", "proxy:70000"])
  func `what is no address of an HTTP proxy is refused`(text: String) {
    #expect(ConnectionSettings.Proxy(parsing: text) == nil)
  }
}
