/// What `depmod` wrote of one kernel: which modules it has as files, what each needs, and which are built in.
struct ModuleDependencies: Sendable {
  /// Module name -> path below the kernel's module folder.
  private var paths: [String: String] = [:]
  /// Path -> paths of everything it needs.
  private var needs: [String: [String]] = [:]
  private var builtin: Set<String> = []

  /// - Parameters:
  ///   - dependencies: text of `modules.dep`.
  ///   - builtin: text of `modules.builtin`; empty where the kernel is too old to have one.
  init(dependencies: String, builtin: String) {
    for line in dependencies.split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let path = Self.relative(line[..<colon])
      paths[Self.name(of: path)] = path
      needs[path] = line[line.index(after: colon)...].split(separator: " ").map { Self.relative($0) }
    }
    self.builtin = Set(builtin.split(separator: "\n").map { Self.name(of: String($0)) })
  }

  func isBuiltin(_ module: String) -> Bool { builtin.contains(module) }

  /// Whether the kernel has `module`, as a file or built in.
  func has(_ module: String) -> Bool { isBuiltin(module) || paths[module] != nil }

  /// Paths of `modules` and of everything they need, each once, sorted; modules that are built in or missing add none.
  func closure(of modules: [String]) -> [String] {
    var found: Set<String> = []
    var open = modules.compactMap { paths[$0] }
    while let path = open.popLast() {
      if found.insert(path).inserted { open += needs[path] ?? [] }
    }
    return found.sorted()
  }

  /// `kernel/net/virtio-net.ko.xz` -> `virtio_net`: file names may use either dash, names in the kernel one.
  private static func name(of path: String) -> String {
    let file = path.split(separator: "/").last ?? ""
    return String(file.prefix { $0 != "." }.map { $0 == "-" ? "_" : $0 })
  }

  /// Old kernels wrote absolute paths.
  private static func relative(_ path: Substring) -> String {
    guard path.hasPrefix("/") else { return String(path) }
    let parts = path.split(separator: "/")
    guard let modules = parts.firstIndex(of: "modules") else { return String(path) }
    return parts.dropFirst(modules + 2).joined(separator: "/")
  }
}
