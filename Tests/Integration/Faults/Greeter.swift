import Foundation
import NIOCore
import NIOPosix

/// A server that says one line to whoever connects, as SSH does.
enum Greeter {
  /// - Parameter address: `127.0.0.1:40001`.
  static func with<Value>(address: String, line: String, _ body: () async throws -> Value) async throws -> Value {
    let parts = address.split(separator: ":")
    let port = Int(parts.last ?? "") ?? 0
    let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          channel.writeAndFlush(ByteBuffer(string: line), promise: nil)
        }
      }
      .bind(host: String(parts.first ?? ""), port: port).get()
    let result: Result<Value, any Error>
    do { result = .success(try await body()) } catch { result = .failure(error) }
    try await server.close()
    return try result.get()
  }
}
