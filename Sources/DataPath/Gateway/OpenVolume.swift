public import Blocks
import Glibc
import NetworkVolumes
import Volumes
public import Wire

/// Opens the volume that a grant names. Replaced by tests, which put faults in between.
public typealias VolumeOpener = @Sendable (SessionGrant.Disk) throws -> any BlockWriter

/// Opens a location as it is: an NBD address, a block device, or a raw file. Formats are never probed: whatever the
/// bytes look like, they are the disk's bytes.
public func openVolume(_ disk: SessionGrant.Disk) throws -> any BlockWriter {
  try openVolume(disk, patience: NBDVolume.patience)
}

/// - Parameter patience: how long a volume behind a server may take to answer before it is given up.
public func openVolume(_ disk: SessionGrant.Disk, patience: Duration) throws -> any BlockWriter {
  let location = disk.location
  if location.hasPrefix("nbd") { return try NBDVolume(uri: location, patience: patience) }
  guard location.hasPrefix("/") else {
    throw BlockError(.cannotOpen, call: "open", device: location, reason: "neither an NBD address nor an absolute path")
  }
  var status = stat()
  guard stat(location, &status) == 0 else {
    throw BlockError(.cannotOpen, call: "stat", device: location, reason: String(cString: strerror(errno)))
  }
  return status.st_mode & S_IFMT == S_IFBLK ? try BlockDevice(path: location) : try RawFile(path: location)
}
