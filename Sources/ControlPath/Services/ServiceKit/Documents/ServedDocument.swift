import CDocuments
public import Foundation
import Yams

/// What `/openapi.json` answers with: the documents of `api/`, which are part of the program.
public enum ServedDocument {
  /// The services whose routes the front passes on.
  public static let services = ["clouds", "identity", "licensing", "migration", "operations"]

  /// A service's own document with what every service has besides; the front's is that of all services, without what
  /// only services ask of each other (`x-internal`).
  /// - Parameter name: of the service, or `front`.
  /// - Returns: OpenAPI 3.1 as JSON, keys sorted.
  /// - Throws: `ConfigurationError` for documents that contradict each other or are no YAML.
  public static func json(of name: String) throws -> Data {
    var document = try parse("status")
    document["info"] = ["title": "Godwit: \(name)", "version": ServiceStatus.version]
    for part in name == "front" ? services : services.filter({ $0 == name }) {
      try add(try parse(part), of: part, to: &document, withInternal: name != "front")
    }
    return try JSONSerialization.data(withJSONObject: document, options: [.sortedKeys, .withoutEscapingSlashes])
  }

  private static func parse(_ name: String) throws -> [String: Any] {
    guard let found = godwit_document_named(name)?.pointee else {
      throw ConfigurationError("There is no document api/\(name).yaml.", remedy: "Add it to CDocuments.")
    }
    let text = String(decoding: UnsafeRawBufferPointer(start: found.bytes, count: found.length), as: UTF8.self)
    guard var document = try? Yams.load(yaml: text) as? [String: Any] else {
      throw ConfigurationError("api/\(name).yaml cannot be read.", remedy: "Mend its YAML.")
    }
    // Only holds what other places of the same file refer to.
    document["x-answers"] = nil
    return document
  }

  private static func add(
    _ part: [String: Any], of name: String, to document: inout [String: Any], withInternal: Bool
  ) throws {
    var paths = document["paths"] as? [String: Any] ?? [:]
    for (path, item) in part["paths"] as? [String: [String: Any]] ?? [:] {
      let kept = item.filter { withInternal || ($0.value as? [String: Any])?["x-internal"] as? Bool != true }
      guard kept.contains(where: { $0.key != "parameters" }) else { continue }
      guard paths.updateValue(kept, forKey: path) == nil else { throw twice(path, name) }
    }
    document["paths"] = paths
    var components = document["components"] as? [String: [String: Any]] ?? [:]
    for (section, entries) in part["components"] as? [String: [String: Any]] ?? [:] {
      for (key, value) in entries {
        if let known = components[section]?[key], try !same(known, value) { throw twice(key, name) }
        components[section, default: [:]][key] = value
      }
    }
    document["components"] = components
  }

  private static func same(_ a: Any, _ b: Any) throws -> Bool {
    try JSONSerialization.data(withJSONObject: a, options: .sortedKeys)
      == JSONSerialization.data(withJSONObject: b, options: .sortedKeys)
  }

  private static func twice(_ name: String, _ document: String) -> ConfigurationError {
    ConfigurationError("api/\(document).yaml says otherwise of '\(name)' than another one.", remedy: "Rename one.")
  }
}
