import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit
import Wire

/// `GET /{language}/t/{tenant}/live/{topic}`: one stream a tab.
struct LiveRoutes {
  func add(to pages: PageRegistry) {
    pages.get("/t/{tenant}/live/{topic}", .member) { visit in
      guard let topic = LiveTopic(try visit.id("topic")) else { throw Problem.notFound("stream") }
      let last = visit.request.headers[.lastEventID].map { String($0.prefix(64)) }
      let (feeds, api) = (visit.parts.feeds, try visit.api)
      try feeds.check(api)
      return Response(
        status: .ok,
        headers: [
          .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store",
          HTTPField.Name("X-Accel-Buffering")!: "no"
        ],
        body: ResponseBody { writer in
          // Joined here: an answer that is never written must not count.
          let (stream, leave) = try feeds.join(topic, api, after: last)
          defer { leave() }
          for await text in stream { try await writer.write(ByteBuffer(string: text)) }
          try await writer.finish(nil)
        })
    }
  }
}

extension HTTPField.Name {
  /// `Last-Event-ID`
  static let lastEventID = HTTPField.Name("Last-Event-ID")!
}
