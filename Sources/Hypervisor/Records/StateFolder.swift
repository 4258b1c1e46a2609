import Crypto
import FoundationEssentials
import Glibc

/// Where everything lies: records, layers and machines' files under the state folder; sockets and pid files in a run
/// folder, which is elsewhere when the state folder's path is too long for a Unix socket.
struct StateFolder: Sendable {
  /// Unix socket paths end at 107 bytes.
  static let longestSocketPath = 107

  let path: String
  let runPath: String
  let volumes: RecordFolder<VolumeRecord>
  let snapshots: RecordFolder<SnapshotRecord>
  let machines: RecordFolder<MachineRecord>

  var layersPath: String { "\(path)/layers" }
  func layer(_ id: LayerID) -> String { "\(layersPath)/\(id.rawValue).qcow2" }

  func machineFolder(_ id: String) -> String { "\(path)/machines/\(id)" }
  func console(_ id: String) -> String { "\(machineFolder(id))/console.log" }
  func firmwareVariables(_ id: String) -> String { "\(machineFolder(id))/variables.fd" }

  /// The sockets of the storage daemon of a volume.
  func volumeRun(_ id: String) -> RunFolder { RunFolder(path: "\(runPath)/v\(Self.shortName(id))") }
  /// The sockets of the QEMU of a machine.
  func machineRun(_ id: String) -> RunFolder { RunFolder(path: "\(runPath)/m\(Self.shortName(id))") }
  var probeRun: RunFolder { RunFolder(path: "\(runPath)/probe") }

  /// Makes the folders, private to this user.
  init(path: String) throws {
    try Self.makePrivate(path)
    guard let resolved = realpath(path, nil) else {
      throw HypervisorError(.failed, "cannot resolve the state folder \(path)")
    }
    defer { free(resolved) }
    self.path = String(cString: resolved)
    let longest = RunFolder(path: "\(self.path)/run/v\(Self.shortName(""))").longestPath
    runPath =
      longest.utf8.count <= Self.longestSocketPath ? "\(self.path)/run" : "/tmp/godwit-\(Self.shortName(self.path))"
    volumes = RecordFolder(path: "\(self.path)/volumes")
    snapshots = RecordFolder(path: "\(self.path)/snapshots")
    machines = RecordFolder(path: "\(self.path)/machines")
    for folder in [volumes.path, snapshots.path, machines.path, layersPath, runPath] { try Self.makePrivate(folder) }
  }

  /// Makes a folder of mode 0700, or checks that the one there is this user's own and closed to others.
  static func makePrivate(_ path: String) throws {
    if mkdir(path, 0o700) != 0 && errno != EEXIST {
      throw HypervisorError(.failed, "cannot make the folder \(path): \(String(cString: strerror(errno)))")
    }
    var info = stat()
    guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFDIR, info.st_uid == geteuid() else {
      throw HypervisorError(
        .permission, "\(path) is not a folder of this user; remove it or choose another state folder")
    }
    guard info.st_mode & 0o077 == 0 else {
      throw HypervisorError(.permission, "\(path) is open to other users; make it private: chmod 700 \(path)")
    }
  }

  private static func shortName(_ text: String) -> String {
    SHA256.hash(data: Data(text.utf8)).prefix(6).map { byte in
      String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }.joined()
  }
}
