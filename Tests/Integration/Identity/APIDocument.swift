import Foundation
import Hummingbird
import ServiceKit

/// An OpenAPI document of `api/`, as far as tests judge by it. Its layout is fixed: paths stand at two spaces, methods at
/// four, what an operation says at six.
struct APIDocument {
  struct Operation: Hashable, Sendable {
    var method: String
    var path: String
    /// `x-right`; nil where no access token is wanted.
    var right: String?
    /// The status of success.
    var success = 0
    var name: String { "\(method) \(path)" }
    var hasID: Bool { path.contains("{id}") || path.contains("{owner}") }
    var isOfTenant: Bool { path.contains("{tenant}") }
  }
  var operations: [Operation] = []

  init(_ name: String) throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../api/\(name).yaml")
    var path = ""
    for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
      let text = line.trimmingCharacters(in: .whitespaces)
      let depth = line.prefix { $0 == " " }.count
      if depth == 2, text.hasPrefix("/"), text.hasSuffix(":") { path = String(text.dropLast()) }
      if depth == 4, ["get:", "put:", "post:", "patch:", "delete:"].contains(text) {
        operations.append(Operation(method: text.dropLast().uppercased(), path: path))
      }
      guard let last = operations.indices.last else { continue }
      if depth == 6, text.hasPrefix("x-right: ") { operations[last].right = String(text.dropFirst(9)) }
      if depth == 8, text.hasPrefix("\"2") { operations[last].success = Int(text.dropFirst().prefix(3)) ?? 0 }
    }
  }

  /// Method and path of every route of a router.
  static func routes(_ add: (Router<ServiceContext>) throws -> Void) rethrows -> Set<String> {
    let router = Router(context: ServiceContext.self)
    try add(router)
    return Set(router.routes.map { "\($0.method.rawValue) \($0.path.description)" })
  }
}
