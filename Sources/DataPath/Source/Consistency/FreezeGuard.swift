internal import CLinuxBlock
internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import Volumes

/// Holds filesystems still for one instant, with a watchdog process that lets go if this one cannot.
///
///     let still = try FreezeGuard(MountedFilesystem.on(disks: ["sda"]), limit: .seconds(2))
///     try still.freeze()
///     ... verify counters, take, read into memory that was allocated before ...
///     let held = still.thaw()      // false: the watchdog came first, what was read is void
///
/// Between `freeze` and `thaw` the caller must not write to any file, nor log: a write to a frozen filesystem blocks
/// for ever, even against SIGKILL. Filesystems that cannot freeze (vfat) are left out and stay `crash` consistent.
/// A guard serves one instant. Letting go of it thaws, unless it was told to hold.
public final class FreezeGuard: Sendable {
  /// A filesystem that was frozen, and how long that took.
  public struct Frozen: Sendable {
    public var filesystem: MountedFilesystem
    public var duration: Duration
  }

  /// How far a freeze is.
  enum Step: Hashable, Sendable {
    case written
    case armed
    /// So many are frozen.
    case frozen(Int)
  }

  /// In the order of mounting; they are frozen from the last to the first.
  public let filesystems: [MountedFilesystem]
  private let limit: Duration
  private let reached: @Sendable (Step) -> Void

  private struct State: ~Copyable {
    /// One for each of `filesystems`, opened before anything freezes.
    var directories: OpenDirectories
    var frozen: [Bool]
    var watchdog: FreezeWatchdog?
    var spent = false
    /// The watchdog was gone when it was asked: whatever is frozen may have been thawed meanwhile.
    var isBroken = false
    /// What is frozen outlives this guard.
    var isHeld = false
  }

  private let state: Mutex<State>

  /// Opens the mount points.
  ///
  /// - Parameter limit: how long they may stay frozen, from the moment `freeze` begins to freeze.
  /// - Throws: `FreezeError` where a mount point cannot be opened.
  public convenience init(_ filesystems: [MountedFilesystem], limit: Duration) throws {
    try self.init(filesystems, limit: limit, reached: { _ in })
  }

  /// - Parameter reached: called at each step: a place for faults.
  init(_ filesystems: [MountedFilesystem], limit: Duration, reached: @escaping @Sendable (Step) -> Void) throws {
    self.reached = reached
    self.filesystems = filesystems.filter(\.canFreeze).sorted { $0.mountID < $1.mountID }
    self.limit = limit
    let directories = try OpenDirectories(self.filesystems.map(\.mountPoint))
    state = Mutex(State(directories: directories, frozen: Array(repeating: false, count: self.filesystems.count)))
  }

  deinit { state.withLock { if !$0.isHeld { Self.release(&$0) } } }

  /// Writes back what is dirty, arms the watchdog, and freezes.
  ///
  /// Returns what was frozen, in that order, and how long each took. A filesystem without a freeze is missing there.
  ///
  /// - Throws: `FreezeError`; then nothing is frozen.
  @discardableResult
  public func freeze() throws -> [Frozen] {
    try state.withLock { state in
      guard !state.spent else {
        throw FreezeError(mountPoint: "", call: "freeze", reason: "a guard serves one instant")
      }
      state.spent = true
      // Without this the freeze itself would write it all back, and hold everyone up meanwhile.
      for (index, filesystem) in filesystems.enumerated() {
        try Self.check(lb_syncfs(state.directories.descriptors[index]), "syncfs", filesystem)
      }
      reached(.written)
      // A page fault on a frozen filesystem could wait for ever.
      _ = lb_lock_memory()
      do {
        state.watchdog = try FreezeWatchdog(filesystems: state.directories.descriptors, limit: limit)
        reached(.armed)
        return try freezeAll(&state)
      } catch {
        Self.release(&state)
        throw error
      }
    }
  }

  private func freezeAll(_ state: inout State) throws -> [Frozen] {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    var done: [Frozen] = []
    for index in filesystems.indices.reversed() {
      let began = clock.now
      let result = lb_freeze(state.directories.descriptors[index])
      if result == -EOPNOTSUPP { continue }
      try Self.check(result, "FIFREEZE", filesystems[index])
      state.frozen[index] = true
      done.append(Frozen(filesystem: filesystems[index], duration: clock.now - began))
      reached(.frozen(done.count))
      if clock.now >= deadline {
        throw FreezeError(
          mountPoint: filesystems[index].mountPoint, call: "FIFREEZE",
          reason: "freezing took longer than \(limit); the disk is too busy, or allow more time")
      }
    }
    return done
  }

  /// Lets go. True if everything was frozen until now; false if the watchdog (or somebody else) thawed before, or
  /// nothing was frozen. May be repeated; only the first call can be true.
  @discardableResult
  public func thaw() -> Bool { state.withLock { Self.release(&$0) } }

  /// Disarms the watchdog and leaves everything frozen, for the end of a switch: from here on only a loss of power,
  /// `thaw` or `thawLeftovers` ends it, not the end of this process. False if the watchdog came first, or somebody else
  /// has thawed.
  public func hold() -> Bool {
    state.withLock { state in
      guard let watchdog = state.watchdog.take() else { return false }
      let isFrozen = zip(state.directories.descriptors, state.frozen).allSatisfy { !$1 || Self.isFrozen($0) }
      state.isBroken = !watchdog.disarm() || !isFrozen
      state.isHeld = !state.isBroken
      return state.isHeld
    }
  }

  /// The mount points that are frozen by this guard.
  var frozenMountPoints: [String] {
    state.withLock { zip(filesystems, $0.frozen).filter(\.1).map(\.0.mountPoint) }
  }

  /// Whether all of these filesystems are frozen, by whomever. Where one is not, the rest is thawed: what stands still
  /// in part is no instant, and nobody else would thaw it.
  static func areFrozen(_ mountPoints: [String]) -> Bool {
    guard let directories = try? OpenDirectories(mountPoints) else { return false }
    if directories.descriptors.allSatisfy(isFrozen) { return true }
    for descriptor in directories.descriptors { _ = lb_thaw(descriptor) }
    return false
  }

  /// The only proof is that it cannot be frozen once more. Where it can, it is frozen now.
  private static func isFrozen(_ descriptor: Int32) -> Bool { lb_freeze(descriptor) == -EBUSY }

  @discardableResult
  private static func release(_ state: inout State) -> Bool {
    var held = state.frozen.contains(true) && !state.isBroken
    for (index, isFrozen) in state.frozen.enumerated() where isFrozen {
      if lb_thaw(state.directories.descriptors[index]) < 0 { held = false }
      state.frozen[index] = false
    }
    if let watchdog = state.watchdog.take(), !watchdog.disarm() { held = false }
    _ = lb_unlock_memory()
    return held
  }

  /// Thaws what an earlier life may have left frozen. Returns the mount points that were.
  ///
  /// To be called once when the agent starts, before it writes anything.
  public static func thawLeftovers(_ filesystems: [MountedFilesystem]) -> [String] {
    filesystems.sorted { $0.mountID < $1.mountID }.map(\.mountPoint).filter { mountPoint in
      guard let directories = try? OpenDirectories([mountPoint]) else { return false }
      return lb_thaw(directories.descriptors[0]) == 0
    }
  }

  private static func check(_ result: Int32, _ call: String, _ filesystem: MountedFilesystem) throws(FreezeError) {
    if result < 0 {
      throw FreezeError(
        mountPoint: filesystem.mountPoint, call: call, reason: "\(Errno(rawValue: -result))")
    }
  }
}

/// Why filesystems could not be frozen.
public struct FreezeError: Error, Hashable, Sendable, CustomStringConvertible {
  public var mountPoint: String
  public var call: String
  public var reason: String

  init(mountPoint: String, call: String, reason: String) {
    (self.mountPoint, self.call, self.reason) = (mountPoint, call, reason)
  }

  public var description: String { "\(call) of the filesystem at \(mountPoint): \(reason)" }
}

/// Directories held open together.
private struct OpenDirectories: ~Copyable {
  let descriptors: [Int32]

  init(_ paths: [String]) throws(FreezeError) {
    var opened: [Int32] = []
    for path in paths {
      let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      if descriptor < 0 {
        let error = Errno(rawValue: errno)
        for descriptor in opened { close(descriptor) }
        throw FreezeError(mountPoint: path, call: "open", reason: "\(error)")
      }
      opened.append(descriptor)
    }
    descriptors = opened
  }

  deinit { for descriptor in descriptors { close(descriptor) } }
}
