import Synchronization
import Testing
import Wire

@testable import ServiceKit

struct AddressGuardTests {
  @Test(arguments: [
    "127.0.0.1", "127.255.0.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.100.100.200", "100.64.0.1", "192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1",
    "203.0.113.7", "::", "::1", "fe80::1", "fd00:ec2::254", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001::1", "2001:db8::1", "::127.0.0.1"
  ]) func `What is not on the Internet is not public`(_ text: String) throws {
    #expect(try !#require(IPAddress(text)).isPublic)
    let host = text.contains(":") ? "[\(text)]" : text
    #expect(EndpointPlace("https://\(host):443") != nil)
  }

  @Test(arguments: ["8.8.8.8", "100.63.0.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"])
  func `What is on the Internet is public`(_ text: String) throws {
    #expect(try #require(IPAddress(text)).isPublic)
  }

  @Test(arguments: [
    "http://169.254.169.254/", "http://10.0.0.1:80", "https://127.0.0.1:1", "https://localhost:443",
    "http://8.8.8.8:80",
    "https://8.8.8.8:80@evil.example:80", "https://user@8.8.8.8:80", "http://2130706433:80", "https://0x7f.1:443",
    "https://0177.0.0.1:443", "https://1.2.3:443", "file:///etc/passwd", "unix:relative", "unix:/run/x.sock", "",
    "https://8.8.8.8:80/path", "https://8.8.8.8:80?x", "https://8.8.8.8:80#x", "https://[::ffff:10.0.0.1]:80",
    "gopher://8.8.8.8:1", "https://8.8.8.8:0", "https://8.8.8.8:+1", "https://8.8.8.8:65536",
    "https://[fe80::1%25lo]:1",
    "https://[8.8.8.8]:1", "https://:443", "https://", "https://a b:1", "https://metadata.google.internal\\@x:1"
  ]) func `Without a setting every other endpoint is refused`(_ endpoint: String) async throws {
    let addresses = try AddressGuard(allowing: "") { _ in [IPAddress("127.0.0.1")].compactMap(\.self) }
    let problem = await #expect(throws: Problem.self) { try await addresses.pin(endpoint) }
    #expect(problem?.code == "endpoint_refused" && problem?.status == 422)
  }

  @Test func `What the settings name is allowed, and nothing beside it`() async throws {
    let addresses = try AddressGuard(allowing: "127.0.0.1, ::1, 10.1.0.0/16, unix:/run/h.sock, unix:/run/clouds/")
    for good in [
      "unix:/run/h.sock", "unix:/run/clouds/a.sock", "http://127.0.0.1:80", "http://[::1]:9", "http://10.1.255.1:1",
      "https://8.8.8.8:443"
    ] { #expect(try await addresses.pin(good) == good) }
    for bad in [
      "unix:/run/h.sock.other", "unix:/run/clouds/../h", "unix:/run/other.sock", "http://127.0.0.2:80",
      "http://10.2.0.1:1", "http://8.8.8.8:80"
    ] { await #expect(throws: Problem.self) { try await addresses.pin(bad) } }
    #expect(throws: ConfigurationError.self) { try AddressGuard(allowing: "localhost") }
    #expect(throws: ConfigurationError.self) { try AddressGuard(allowing: "10.0.0.0/33") }
  }

  @Test func `A name is judged by what it means each time, and what was judged is what is connected to`() async throws {
    let answers = Mutex([["10.1.0.1"], ["10.1.0.2", "10.1.0.3"], ["10.1.0.2", "169.254.169.254"], [], ["8.8.8.8"]])
    let addresses = try AddressGuard(allowing: "10.1.0.0/16") { _ in
      answers.withLock { $0.removeFirst() }.compactMap { IPAddress($0) }
    }
    #expect(try await addresses.pin("http://cloud.example:80") == "http://10.1.0.1:80")
    #expect(try await addresses.pin("http://cloud.example:80") == "http://10.1.0.2:80")
    for _ in 0..<2 {
      await #expect(throws: Problem.self) { try await addresses.pin("http://cloud.example:80") }
    }
    #expect(try await addresses.pin("https://cloud.example:443") == "https://cloud.example:443")
  }
}
