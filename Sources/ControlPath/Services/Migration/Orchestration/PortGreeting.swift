import NIOCore
import NIOPosix

/// Whether somebody speaks first on a TCP port, as SSH does. A mere connection proves nothing: the forwarder in front of
/// a machine accepts before the machine does.
enum PortGreeting {
  /// The first line, at most 80 printable characters, or nil when none came within three seconds.
  /// - Parameter address: `127.0.0.1:40022`.
  static func read(from address: String) async -> String? {
    guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]) else {
      return nil
    }
    let host = String(address[..<colon])
    do {
      let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connectTimeout(.seconds(3))
        .connect(host: host, port: port) { channel in
          channel.eventLoop.makeCompletedFuture {
            try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
          }
        }
      let timeout = channel.channel.eventLoop.scheduleTask(in: .seconds(3)) {
        channel.channel.close(promise: nil)
      }
      defer { timeout.cancel() }
      return try await channel.executeThenClose { inbound, _ in
        for try await bytes in inbound {
          let line = bytes.readableBytesView.prefix { $0 != 0x0A && $0 != 0x0D }.prefix(80)
          return String(decoding: line.filter { (0x20..<0x7F).contains($0) }, as: UTF8.self)
        }
        return nil
      }
    } catch {
      return nil
    }
  }
}
