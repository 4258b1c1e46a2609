import Foundation
import Glibc
import Testing
import Wire

@testable import ServiceKit

struct SettingTests {
  @Test func `Paths with commas and colons go through lists`() async throws {
    try await withTemporaryFolder { folder in
      let path = folder + "/a,b:c.key"
      let key = try SigningKey.open(file: path)
      try SigningKey.publish(key, file: path)
      let callers = try Setting.callers(
        "front:\(Setting.listed(path + ".pub")), migration:\(Setting.listed(path + ".pub"))")
      #expect(callers == ["front": key.publicKey, "migration": key.publicKey])
      let bindings = try Setting.bindings("127.0.0.1:80, " + Setting.listed("unix:\(folder)/a,b.sock"), tls: nil)
      guard case .unix(let socket) = bindings.last else { return #expect(Bool(false), "\(bindings)") }
      #expect(socket == folder + "/a,b.sock" && bindings.count == 2)
    }
  }

  @Test func `A key may be a link, as clusters mount it; not one that others may read, and no pipe`() async throws {
    try await withTemporaryFolder { folder in
      let key = try SigningKey.open(file: folder + "/real")
      #expect(symlink("real", folder + "/link") == 0)
      #expect(try SigningKey.find(file: folder + "/link")?.publicKey == key.publicKey)
      #expect(chmod(folder + "/real", 0o640) == 0)
      #expect(throws: ConfigurationError.self) { try SigningKey.find(file: folder + "/link") }
      #expect(mkfifo(folder + "/pipe", 0o600) == 0)
      #expect(throws: ConfigurationError.self) { try SigningKey.find(file: folder + "/pipe") }
    }
  }
}
