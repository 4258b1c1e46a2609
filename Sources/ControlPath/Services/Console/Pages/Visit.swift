import Hummingbird
import ServiceKit
import Wire

/// One request of somebody for a page.
struct Visit: Sendable {
  /// The tenant of the path, and what the visitor is there.
  struct Seat: Sendable {
    var tenant: String
    var name: String
    var role: Role
  }
  let parts: ConsoleParts
  let request: Request
  let context: ServiceContext
  let language: Language
  let person: Person
  let session: IdentityAPI.Session?
  let seat: Seat?
  let form: Form

  var words: Catalogue { parts.words(language) }
  var figures: Figures { Figures(language: language) }

  func text(_ key: String, _ values: [String: String] = [:]) -> String { words.text(key, values) }

  /// Whether the visitor's role holds a right: what they may not do is not offered. The services judge anyway.
  func may(_ right: Right) -> Bool { seat?.role.rights.contains(right) ?? false }

  /// The services below the path's tenant.
  /// - Throws: `Problem` 404 on a page that is no tenant's.
  var api: TenantAPI {
    get throws {
      guard let seat else { throw Problem.notFound("page") }
      return TenantAPI(person: person, tenant: seat.tenant)
    }
  }

  /// A path parameter.
  func id(_ name: String = "id") throws -> String { try context.parameter(name) }

  func query(_ name: String) -> String? {
    request.uri.queryParameters[Substring(name)].map(String.init).flatMap { $0.isEmpty ? nil : String($0.prefix(256)) }
  }

  /// `/en/t/TENANT/…`
  func path(_ parts: String...) -> String {
    let tenant = seat.map { ["t", $0.tenant] } ?? []
    return ([language.rawValue] + tenant + parts).map { RESTClient.path($0) }.joined()
  }

  /// See Other: after a form was taken in.
  /// - Parameter done: a word of the section `done`, told on the page it leads to.
  func redirect(_ path: String, done: String? = nil) -> Response {
    let target = done.map { path + (path.contains("?") ? "&" : "?") + "done=" + $0 } ?? path
    return Response(status: .seeOther, headers: [.location: target])
  }
}
