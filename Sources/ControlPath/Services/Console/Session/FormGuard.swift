import Crypto
import HTTPTypes
import Hummingbird
import ServiceKit
import Wire

/// Tells the console's own forms from those that another site makes a browser send: by what the browser says of where
/// they come from, and by a token that only a page of this session bears.
enum FormGuard {
  /// The field of the token.
  static let field = "form_token"

  /// - Parameter seed: the session's secret, or what a stranger's browser was given.
  static func token(_ seed: String) -> String {
    let code = HMAC<SHA256>.authenticationCode(
      for: Array("godwit form".utf8), using: SymmetricKey(data: Array(seed.utf8)))
    return Base64URL.encode(Array(code))
  }

  /// - Throws: `Problem` 403 `form_refused`.
  static func check(_ request: Request, _ form: Form, seed: String?) throws {
    guard let seed, let given = form[field], Secret.same(given, token(seed)), isOwn(request) else {
      throw Problem(
        code: "form_refused", status: 403, detail: "The form does not come from a page of this session.",
        remedy: "Open the page again and repeat.")
    }
  }

  private static func isOwn(_ request: Request) -> Bool {
    let site = request.headers[.secFetchSite]
    if let site, site != "same-origin" { return false }
    guard let origin = request.headers[.origin] else { return site != nil }
    let host = request.headers[.forwardedHost] ?? request.head.authority ?? ""
    return origin == "https://" + host || (origin == "http://" + host && request.headers[.forwardedHost] == nil)
  }
}

extension HTTPField.Name {
  /// `Sec-Fetch-Site`
  static let secFetchSite = HTTPField.Name("Sec-Fetch-Site")!
}
