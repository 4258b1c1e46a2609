import Glibc
import NIOCore

extension SecureClient {
  /// Has the kernel end a connection whose other end is gone without a word: a cut line, a firewall that forgot it. What
  /// is sent must be confirmed within `silence`, and while nothing is sent the other end is asked whether it is there.
  /// A slow line is no silent one: requests need no short time-outs of their own.
  static func giveUp(_ channel: any Channel, after silence: Duration) -> EventLoopFuture<Void> {
    let seconds = max(1, Int(silence.components.seconds))
    let options: [(NIOBSDSocket.Option, Int)] = [
      (.init(rawValue: TCP_USER_TIMEOUT), Int(silence / .milliseconds(1))),
      (.init(rawValue: TCP_KEEPIDLE), max(1, seconds / 2)), (.init(rawValue: TCP_KEEPINTVL), max(1, seconds / 6))
    ]
    let tcp = options.map { channel.setOption(.tcpOption($0.0), value: $0.1) }
    // Best effort: without it a request ends by its own time-out.
    return EventLoopFuture.andAllComplete(
      tcp + [channel.setOption(.socketOption(.so_keepalive), value: 1)], on: channel.eventLoop)
  }
}
