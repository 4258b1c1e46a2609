import Crypto
import Foundation
import GRDB
import Glibc
import ServiceKit
import Wire

extension Backup {
  /// Puts a backup back into a folder that is not there, or empty. It appears whole or not at all: every digest is
  /// checked, and every database by SQLite, before the folder gets its name.
  /// - Throws: `BackupFailure`, `ConfigurationError`.
  public static func restore(_ file: String, to state: String, secret: BackupSecret) throws -> Summary {
    guard let handle = FileHandle(forReadingAtPath: file) else {
      throw ConfigurationError("\(file) cannot be read.", remedy: "Give the path of a backup.")
    }
    defer { try? handle.close() }
    let there = try? FileManager.default.contentsOfDirectory(atPath: state)
    guard there?.isEmpty ?? !FileManager.default.fileExists(atPath: state) else {
      throw ConfigurationError("\(state) is not empty.", remedy: "Move it away, or give --state another folder.")
    }
    let scratch = "\(state).\(getpid()).restoring"
    try PrivateFile.makeFolder(scratch)
    defer { try? FileManager.default.removeItem(atPath: scratch) }
    let manifest = try unpack(handle, to: scratch, secret)
    for entry in manifest.entries where entry.isDatabase { try check(entry, at: "\(scratch)/\(entry.path)") }
    sync()
    guard rename(scratch, state) == 0 else {
      throw ConfigurationError(
        "\(state) cannot be made: \(String(cString: strerror(errno))).", remedy: "Check the folder it lies in.")
    }
    return summary(of: manifest)
  }

  private static func unpack(_ handle: FileHandle, to folder: String, _ secret: BackupSecret) throws -> BackupManifest {
    var reader = try SealedReader(handle, secret: secret)
    let count = try reader.read(exactly: 4).reduce(0) { $0 << 8 | Int($1) }
    guard count <= BackupManifest.longest else { throw BackupFailure.damaged("its list is too long") }
    guard let manifest = try? JSONDecoder().decode(BackupManifest.self, from: reader.read(exactly: count)) else {
      throw BackupFailure.damaged("its list cannot be read")
    }
    try manifest.check()
    for entry in manifest.entries { try unpack(entry, from: &reader, to: "\(folder)/\(entry.path)") }
    try reader.end()
    return manifest
  }

  private static func unpack(
    _ entry: BackupManifest.Entry, from reader: inout SealedReader, to path: String
  ) throws {
    try makeFolders(above: path)
    try PrivateFile.write([], to: path, mode: entry.mode)
    guard let file = FileHandle(forWritingAtPath: path) else {
      throw ConfigurationError("\(path) cannot be written.", remedy: "Check its folder and the free space.")
    }
    defer { try? file.close() }
    var (digest, left) = (SHA256(), entry.size)
    while left > 0 {
      let piece = try reader.read(atMost: left)
      digest.update(data: piece)
      try file.write(contentsOf: piece)
      left -= piece.count
    }
    try file.synchronize()
    guard Hex.encode(Array(digest.finalize())) == entry.sha256 else {
      throw BackupFailure.damaged("\(entry.path) has another digest")
    }
  }

  /// Each 0700.
  private static func makeFolders(above path: String) throws {
    var missing: [String] = []
    var folder = (path as NSString).deletingLastPathComponent
    while !FileManager.default.fileExists(atPath: folder) {
      missing.append(folder)
      folder = (folder as NSString).deletingLastPathComponent
    }
    for folder in missing.reversed() { try PrivateFile.makeFolder(folder) }
  }

  private static func check(_ entry: BackupManifest.Entry, at path: String) throws {
    do {
      let database = try DatabaseQueue(path: path)
      let word = try database.read { try String.fetchOne($0, sql: "PRAGMA quick_check") }
      try database.close()
      guard word == "ok" else { throw BackupFailure.damaged("\(entry.path): \(word ?? "no answer of SQLite")") }
    } catch let error as DatabaseError { throw BackupFailure.damaged("\(entry.path): \(error)") }
  }
}
