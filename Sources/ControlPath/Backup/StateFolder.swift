import Foundation
import Glibc
import ServiceKit

/// What of a state folder is the platform's own and cannot be had from elsewhere.
///
/// Left out are the local cloud's disks and machines (`hypervisor`), what the gateway keeps of replicas except its key (it
/// reads that from the volumes again), logs, and what belongs to running processes. Nothing is found through links.
struct StateFolder {
  let path: String

  struct Found {
    var databases: [String] = []
    var files: [String] = []
  }

  /// Begins the name of the folder that a backup's copies lie in, before the process's id.
  static let scratch = ".backup-"

  /// Removes what backups left that did not come to their end.
  static func removeScratches(in folder: String) throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.hasPrefix(scratch) {
      guard let process = pid_t(name.dropFirst(scratch.count)), kill(process, 0) != 0, errno == ESRCH else { continue }
      try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
    }
  }

  private static let foreign: Set<String> = ["hypervisor", "logs"]
  private static let ofGateway: Set<String> = ["key", "key.pub"]
  /// What the migration service says of the target must be in the copy of the clouds service's ledger, which is therefore
  /// made later; so must be what others know of these two.
  private static let order = ["migration.sqlite", "clouds.sqlite"]

  /// - Throws: `ConfigurationError` where there is no such folder, or no database in it.
  func find() throws -> Found {
    var found = Found()
    try walk("", into: &found)
    guard !found.databases.isEmpty else {
      throw ConfigurationError(
        "There is no service's database in \(path).", remedy: "Give --state the folder that 'godwit up' works in.")
    }
    func rank(_ database: String) -> Int {
      Self.order.firstIndex { database.hasSuffix($0) } ?? Self.order.count
    }
    found.databases.sort { (rank($0), $0) < (rank($1), $1) }
    found.files.sort()
    return found
  }

  private func walk(_ folder: String, into found: inout Found) throws {
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: path + "/" + folder) } catch {
      throw ConfigurationError("The folder \(path)/\(folder) cannot be read.", remedy: "Check --state and its rights.")
    }
    for name in names {
      let relative = folder.isEmpty ? name : folder + "/" + name
      guard let kind = Self.kind(path + "/" + relative) else { continue }
      if kind == S_IFDIR {
        if !(folder.isEmpty && (Self.foreign.contains(name) || name.hasPrefix(Self.scratch))) {
          try walk(relative, into: &found)
        }
      } else if kind == S_IFREG, Self.isWanted(name, in: folder) {
        if name.hasSuffix(".sqlite") { found.databases.append(relative) } else { found.files.append(relative) }
      }
    }
  }

  private static func isWanted(_ name: String, in folder: String) -> Bool {
    if folder == "gateway" || folder.hasPrefix("gateway/") { return folder == "gateway" && ofGateway.contains(name) }
    if folder == "run" { return name.hasSuffix(".port") }
    return name != "lock" && ![".new", ".pid", ".log", "-wal", "-shm", "-journal"].contains { name.hasSuffix($0) }
  }

  /// Nil for what went away meanwhile.
  private static func kind(_ path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
  }
}
