import HTTPTypes
public import Wire

/// Which right each route of a service needs: one row a route, `"GET /v1/tenants/{tenant}/sources": .read`. A route that
/// has none is nobody's.
public struct RouteRights: Sendable {
  public let table: [String: Right]

  public init(_ rows: [String: Right]) { table = rows }

  /// - Parameter path: of the route, with its parameters' names in braces.
  /// - Throws: `Problem` 403 `not_allowed`.
  func check(_ token: AccessToken, _ method: HTTPRequest.Method, _ path: String?) throws {
    guard let right = table["\(method.rawValue) \(path ?? "")"] else {
      throw Problem(
        code: "not_allowed", status: 403, detail: "No role may do this.",
        remedy: "Use the routes of the API's description.")
    }
    guard token.may(right) else {
      let isScope = token.role.rights.contains(right)
      throw Problem(
        code: "not_allowed", status: 403,
        detail: isScope
          ? "The token's scopes do not hold '\(right.rawValue)', which this needs."
          : "The role \(token.role.rawValue) does not have the right '\(right.rawValue)', which this needs.",
        remedy: isScope ? "Use a token with that scope." : "Ask an owner of the tenant to do it or to change your role."
      )
    }
  }
}
