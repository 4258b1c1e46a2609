import Crypto
import FoundationEssentials
import HTTPTypes
public import Hummingbird
import Wire

/// The ETag of an answer (RFC 9110): the same for the same JSON.
enum EntityTag {
  static func of(_ body: Data) -> String { "\"" + Base64URL.encode(Array(SHA256.hash(data: body).prefix(16))) + "\"" }

  /// Whether `If-Match` or `If-None-Match` names the tag. Ours are strong; a `W/` before one makes no difference to whether
  /// the content is the same.
  static func names(_ header: String, _ tag: String) -> Bool {
    header.split(separator: ",").map(ServiceSettings.trimmed).contains { given in
      given == "*" || given == tag || given == "W/" + tag
    }
  }
}

/// What the caller of a change believes to change: `If-Match`. Checked in the transaction of the change, so that of two who
/// have read the same one is told.
public struct Precondition: Sendable {
  private let header: String?

  public init(_ request: Request) { header = request.headers[.ifMatch] }

  /// - Parameter current: what a `GET` would answer with now; nil where there is nothing.
  /// - Throws: `Problem` 412.
  public func check<Value: Encodable>(_ current: Value?) throws {
    guard let header else { return }
    guard let current, EntityTag.names(header, EntityTag.of(try JSONAnswer.encode(current))) else {
      throw Problem(
        code: "changed_meanwhile", status: 412, detail: "It is not any more what If-Match names.",
        remedy: "Read it again, and decide anew.")
    }
  }
}
