import Crypto
import Foundation
import GRDB
import ServiceKit
import Wire

/// A copy of a platform's records, keys and settings in one sealed file, made while it runs.
public enum Backup {
  public struct Summary: Hashable, Sendable {
    public var databases: Int
    public var files: Int
    /// Of what is in it.
    public var bytes: Int
    /// Seconds since 1970.
    public var madeAt: Int
  }

  /// Makes a backup. Each database is copied as of one instant, by SQLite's own backup, while others write to it. It needs
  /// as much free space in `state` as the databases take, and as much beside `file`, where only what is sealed is written.
  /// - Parameters:
  ///   - state: the folder of the whole platform, or of one service.
  ///   - file: must not be there.
  /// - Throws: `ConfigurationError`, or `DatabaseError` for a database that cannot be read.
  public static func make(state: String, to file: String, secret: BackupSecret) throws -> Summary {
    guard !FileManager.default.fileExists(atPath: file) else {
      throw ConfigurationError("There is a \(file) already.", remedy: "Give --out another name.")
    }
    guard !(file + "/").hasPrefix(state + "/") else {
      throw ConfigurationError("\(file) lies in the state folder.", remedy: "Keep backups elsewhere.")
    }
    let found = try StateFolder(path: state).find()
    let (scratch, sealed) = ("\(state)/\(StateFolder.scratch)\(getpid())", "\(file).\(getpid()).making")
    try StateFolder.removeScratches(in: state)
    try PrivateFile.makeFolder(scratch)
    defer {
      try? FileManager.default.removeItem(atPath: scratch)
      unlink(sealed)
    }
    var (entries, places) = ([BackupManifest.Entry](), [String]())
    // Databases first: a key that one of them names is there before it.
    for (index, path) in found.databases.enumerated() {
      let copy = "\(scratch)/\(index)"
      try snapshot("\(state)/\(path)", to: copy)
      entries.append(try entry(path, at: copy, isDatabase: true))
      places.append(copy)
    }
    for (index, path) in found.files.enumerated() {
      let copy = "\(scratch)/file-\(index)"
      // One that went away meanwhile is not missed.
      guard let bytes = try PrivateFile.read("\(state)/\(path)", secret: false) else { continue }
      try PrivateFile.write(bytes, to: copy)
      entries.append(try entry(path, at: copy, isDatabase: false))
      places.append(copy)
    }
    let manifest = BackupManifest(
      program: ServiceStatus.version, madeAt: Int(Date().timeIntervalSince1970), entries: entries)
    try write(manifest, places, to: sealed, secret)
    guard rename(sealed, file) == 0 else {
      throw ConfigurationError(
        "\(file) cannot be written: \(String(cString: strerror(errno))).", remedy: "Check its folder.")
    }
    return summary(of: manifest)
  }

  static func summary(of manifest: BackupManifest) -> Summary {
    let databases = manifest.entries.count(where: \.isDatabase)
    return Summary(
      databases: databases, files: manifest.entries.count - databases,
      bytes: manifest.entries.reduce(0) { $0 + $1.size },
      madeAt: manifest.madeAt)
  }

  /// Page by page, so that row ids stay what they are.
  private static func snapshot(_ database: String, to copy: String) throws {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = .timeout(10)
    let source = try DatabaseQueue(path: database, configuration: configuration)
    let target = try DatabaseQueue(path: copy)
    try source.backup(to: target)
    try target.close()
    try source.close()
  }

  private static func entry(_ path: String, at place: String, isDatabase: Bool) throws -> BackupManifest.Entry {
    guard let file = FileHandle(forReadingAtPath: place) else {
      throw ConfigurationError("\(place) cannot be read.", remedy: "Check the free space of --state.")
    }
    defer { try? file.close() }
    var (digest, size) = (SHA256(), 0)
    while let piece = try file.read(upToCount: SealedWriter.chunk), !piece.isEmpty {
      digest.update(data: piece)
      size += piece.count
    }
    return .init(
      path: path, size: size, sha256: Hex.encode(Array(digest.finalize())), isDatabase: isDatabase,
      mode: path.hasSuffix(".pub") || path.hasSuffix(".pem") ? 0o644 : 0o600)
  }

  /// The manifest's length and text, then everything it names.
  static func write(_ manifest: BackupManifest, _ places: [String], to path: String, _ secret: BackupSecret) throws {
    try PrivateFile.write([], to: path)
    guard let file = FileHandle(forWritingAtPath: path) else {
      throw ConfigurationError("\(path) cannot be written.", remedy: "Check its folder.")
    }
    defer { try? file.close() }
    var writer = try SealedWriter(file, secret: secret)
    let list = try JSONEncoder().encode(manifest)
    try writer.write(SealedWriter.length(list.count) + list)
    for place in places {
      guard let content = FileHandle(forReadingAtPath: place) else { throw BackupFailure.damaged("\(place) went away") }
      defer { try? content.close() }
      while let piece = try content.read(upToCount: SealedWriter.chunk), !piece.isEmpty { try writer.write(piece) }
    }
    try writer.finish()
  }
}
