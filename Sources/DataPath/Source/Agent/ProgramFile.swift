import Glibc

/// The program itself, as a file.
public enum ProgramFile {
  /// Copies the running program to `path`, mode 0755, unless it runs from there.
  public static func install(at path: String) throws {
    if runsFrom(path) { return }
    guard let bytes = try PrivateFile.read("/proc/self/exe") else {
      throw AgentError("the program cannot read itself", remedy: "copy it to \(path) yourself")
    }
    try PrivateFile.write(bytes, to: path)
    guard chmod(path, 0o755) == 0 else { throw PrivateFile.failure("chmod", path) }
  }

  private static func runsFrom(_ path: String) -> Bool {
    var own = stat()
    var other = stat()
    return stat("/proc/self/exe", &own) == 0 && stat(path, &other) == 0 && own.st_dev == other.st_dev
      && own.st_ino == other.st_ino
  }
}
