import Foundation
import GRDB
import ServiceKit
import Testing

@testable import Backup

struct BackupTests {
  private static let secret = BackupSecret.key([UInt8](repeating: 7, count: 32))

  /// A state folder with a database, a key, and what does not belong into a backup.
  private func state(_ folder: String) throws -> String {
    let state = folder + "/state"
    for sub in ["clouds", "keys", "run", "logs", "gateway/maps", "hypervisor/disks"] {
      try FileManager.default.createDirectory(
        atPath: "\(state)/\(sub)", withIntermediateDirectories: true)
    }
    let queue = try DatabasePool(path: state + "/clouds/clouds.sqlite")
    try queue.write { db in
      try db.execute(sql: "CREATE TABLE t (v BLOB); INSERT INTO t VALUES (randomblob(3000000)), ('x'), ('y')")
      try db.execute(sql: "DELETE FROM t WHERE v = 'x'")
    }
    try queue.close()
    for (path, text) in [
      ("keys/a.key", "secret"), ("keys/a.key.pub", "public"), ("run/front.port", "8443"), ("gateway/key", "k"),
      ("run/godwit.pid", "1"), ("logs/x.log", "l"), ("gateway/maps/m", "m"), ("hypervisor/disks/d", "d"), ("lock", "")
    ] { try PrivateFile.write(Array(text.utf8), to: "\(state)/\(path)") }
    try FileManager.default.createSymbolicLink(atPath: state + "/keys/link", withDestinationPath: "/etc/passwd")
    return state
  }

  @Test func `What comes back is what was there, and nothing that is not the platform's own`() async throws {
    try await withTemporaryFolder { folder in
      let state = try state(folder)
      let made = try Backup.make(state: state, to: folder + "/b", secret: Self.secret)
      #expect(made.databases == 1 && made.files == 4 && made.bytes > 3_000_000)
      #expect(try Data(contentsOf: URL(filePath: folder + "/b")).range(of: Data("secret".utf8)) == nil)
      #expect(try Backup.restore(folder + "/b", to: folder + "/new", secret: Self.secret) == made)
      let there = FileManager.default.subpaths(atPath: folder + "/new")?.filter {
        $0.contains(".") || $0.hasSuffix("key")
      }
      #expect(
        Set(there ?? []) == [
          "clouds/clouds.sqlite", "keys/a.key", "keys/a.key.pub", "run/front.port", "gateway/key"
        ])
      func rows(_ folder: String) throws -> [Row] {
        try DatabaseQueue(path: folder + "/clouds/clouds.sqlite").read {
          try Row.fetchAll($0, sql: "SELECT rowid, v FROM t")
        }
      }
      #expect(try rows(folder + "/new") == rows(state))
      func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: folder + path)[.posixPermissions] as? Int
      }
      #expect(try mode("/new/keys/a.key") == 0o600 && mode("/new/keys") == 0o700 && mode("/new") == 0o700)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["b", "new", "state"])
    }
  }

  @Test func `A changed byte, a missing end, something added and another secret are found, and leave nothing`()
    async throws
  {
    try await withTemporaryFolder { folder in
      _ = try Backup.make(state: try state(folder), to: folder + "/b", secret: Self.secret)
      let whole = try Data(contentsOf: URL(filePath: folder + "/b"))
      var bad: [Data] = [Data(), whole + [0], Data(whole.dropLast()), Data(whole.prefix(whole.count / 2))]
      // The file's beginning, and the first chunk's length and content; then here and there.
      for place in Array(0..<220) + Array(stride(from: 220, to: whole.count, by: 77_777)) + [whole.count - 1] {
        var changed = whole
        changed[place] ^= 0x41
        bad.append(changed)
      }
      for (index, data) in bad.enumerated() {
        try data.write(to: URL(filePath: folder + "/bad"))
        #expect(throws: (any Error).self, "case \(index)") {
          try Backup.restore(folder + "/bad", to: folder + "/new", secret: Self.secret)
        }
      }
      let other = BackupSecret.key([UInt8](repeating: 8, count: 32))
      #expect(throws: BackupFailure.notOpened) { try Backup.restore(folder + "/b", to: folder + "/new", secret: other) }
      #expect(throws: ConfigurationError.self) {
        try Backup.restore(folder + "/b", to: folder + "/new", secret: .passphrase("correct horse battery"))
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["b", "bad", "state"])
    }
  }

  @Test func `A passphrase opens it again, and nothing is put over what is there`() async throws {
    try await withTemporaryFolder { folder in
      let (state, secret) = (try state(folder), try BackupSecret.checked(passphrase: "correct horse battery"))
      _ = try Backup.make(state: state, to: folder + "/b", secret: secret)
      #expect(throws: ConfigurationError.self) { try Backup.make(state: state, to: folder + "/b", secret: secret) }
      #expect(throws: ConfigurationError.self) { try Backup.make(state: state, to: state + "/b", secret: secret) }
      #expect(throws: ConfigurationError.self) { try Backup.restore(folder + "/b", to: state, secret: secret) }
      #expect(throws: BackupFailure.notOpened) {
        try Backup.restore(folder + "/b", to: folder + "/new", secret: .passphrase("correct horse batterz"))
      }
      _ = try Backup.restore(folder + "/b", to: folder + "/new", secret: secret)
      #expect(throws: ConfigurationError.self) { try BackupSecret.checked(passphrase: "short") }
      #expect(throws: ConfigurationError.self) {
        try Backup.make(state: folder + "/new/keys", to: folder + "/c", secret: secret)
      }
    }
  }

  @Test(arguments: ["../out", "/etc/x", "a//b", "", "a/../../b", "."])
  func `A list whose paths lead out of the folder is refused`(_ path: String) async throws {
    try await withTemporaryFolder { folder in
      try PrivateFile.write([1], to: folder + "/content")
      let manifest = BackupManifest(
        program: "x", madeAt: 0,
        entries: [.init(path: path, size: 1, sha256: "", isDatabase: false, mode: 0o600)])
      try Backup.write(manifest, [folder + "/content"], to: folder + "/b", Self.secret)
      #expect(throws: BackupFailure.damaged("it names '\(path)'")) {
        try Backup.restore(folder + "/b", to: folder + "/new", secret: Self.secret)
      }
    }
  }

  @Test func `Content that is not what the list says is refused`() async throws {
    try await withTemporaryFolder { folder in
      try PrivateFile.write([1], to: folder + "/content")
      let entry = BackupManifest.Entry(path: "a", size: 1, sha256: "00", isDatabase: false, mode: 0o600)
      for (entries, places) in [([entry], [folder + "/content"]), ([], [folder + "/content"]), ([entry], [])] {
        try Backup.write(
          BackupManifest(program: "x", madeAt: 0, entries: entries), places, to: folder + "/b", Self.secret)
        #expect(throws: BackupFailure.self) {
          try Backup.restore(folder + "/b", to: folder + "/new", secret: Self.secret)
        }
      }
    }
  }
}
