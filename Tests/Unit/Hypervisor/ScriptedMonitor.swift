import FoundationEssentials
import Glibc
import Synchronization

@testable import Hypervisor

/// A QMP server that says its lines one after another: the first at once, each other after one line of the client's. An
/// empty line means silence; after the last it hangs up.
final class ScriptedMonitor: Sendable {
  let path: String
  private let listener: CInt
  private let commands = Mutex<[String]>([])

  init(_ script: [String], chunk: Int = 1 << 16) throws {
    path = "/var/tmp/godwit-qmp-\(UInt64.random(in: 0 ... .max))"
    listener = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard bound == 0, listen(listener, 1) == 0 else { throw CocoaError(.fileWriteUnknown) }
    Thread.start { [self] in serve(script, chunk: chunk) }
  }

  deinit {
    close(listener)
    unlink(path)
  }

  /// The commands heard so far, by name.
  func heard() -> [String] { commands.withLock { $0 } }

  private func serve(_ script: [String], chunk: Int) {
    let client = accept(listener, nil, nil)
    guard client >= 0 else { return }
    defer { close(client) }
    for (index, text) in script.enumerated() {
      if index > 0, !hear(client) { return }
      if text.isEmpty {
        _ = hear(client)
        return
      }
      for start in stride(from: 0, to: text.utf8.count, by: chunk) {
        let piece = Array(text.utf8)[start..<min(start + chunk, text.utf8.count)]
        _ = piece.withUnsafeBytes { send(client, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
      }
    }
  }

  private func hear(_ client: CInt) -> Bool {
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while recv(client, &byte, 1, 0) == 1 {
      if byte == UInt8(ascii: "\n") {
        let name = (try? JSONValue(text: line))?["execute"]?.string ?? "?"
        commands.withLock { $0.append(name) }
        return true
      }
      line.append(byte)
    }
    return false
  }
}

private enum Thread {
  /// Runs the body on a thread of its own: it blocks.
  static func start(_ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
      let body: @Sendable () -> Void
      init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body)).toOpaque()
    pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
        return nil
      }, box)
    pthread_detach(thread)
  }
}
