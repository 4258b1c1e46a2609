public import HummingbirdCore
import Logging
import NIOCore
import Synchronization

extension HTTPServerBuilder {
  /// A server of HTTP/1 whose connections are finished whether they are served or not. One that comes in while the server
  /// ends is handed to nobody, and a writer that goes away unfinished would end the process.
  ///
  /// Where nothing else is said, a connection without a request, or with one that does not come to its end, is closed after
  /// 90 s.
  public static func finishing(
    _ configuration: HTTP1Channel.Configuration? = nil
  ) -> HTTPServerBuilder {
    let configuration = configuration ?? .init(idleTimeout: .seconds(90))
    return HTTPServerBuilder { FinishedChannel(base: HTTP1Channel(responder: $0, configuration: configuration)) }
  }
}

private struct FinishedChannel: ServerChildChannel {
  let base: HTTP1Channel

  final class Value: ServerChildChannelValue {
    let accepted: HTTP1Channel.Value
    let isServed = Atomic(false)
    var channel: any Channel { accepted.channel }

    init(_ accepted: HTTP1Channel.Value) { self.accepted = accepted }

    deinit {
      if isServed.load(ordering: .acquiring) { return }
      // Finishing waits, and there is nobody left who could.
      Task { [accepted] in try? await accepted.executeThenClose { _, _ in } }
    }
  }

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    base.setup(channel: channel, logger: logger).map(Value.init)
  }

  func handle(value: Value, logger: Logger) async {
    value.isServed.store(true, ordering: .releasing)
    await base.handle(value: value.accepted, logger: logger)
  }
}
