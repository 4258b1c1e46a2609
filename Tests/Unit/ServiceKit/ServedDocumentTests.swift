import Foundation
import ServiceKit
import Testing

/// What `/openapi.json` answers with.
struct ServedDocumentTests {
  private static func document(_ name: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: try ServedDocument.json(of: name)) as? [String: Any])
  }

  private static func operations(_ document: [String: Any]) -> [(name: String, fields: [String: Any])] {
    let paths = document["paths"] as? [String: [String: Any]] ?? [:]
    return paths.flatMap { path, item in
      item.compactMap { method, fields in
        (fields as? [String: Any]).map { ("\(method.uppercased()) \(path)", $0) }
      }
    }
  }

  private static func references(_ value: Any) -> [String] {
    if let object = value as? [String: Any] {
      return object.flatMap { key, inner in key == "$ref" ? [inner as? String ?? ""] : references(inner) }
    }
    return (value as? [Any] ?? []).flatMap(references)
  }

  @Test(arguments: ServedDocument.services + ["front"])
  func `Every reference leads somewhere, and every operation names its answers and who may ask`(name: String) throws {
    let document = try Self.document(name)
    #expect(document["openapi"] as? String == "3.1.0")
    for reference in Set(Self.references(document)) {
      let parts = reference.split(separator: "/").dropFirst()
      let found = parts.reduce(document as Any?) { ($0 as? [String: Any])?[String($1)] }
      #expect(found != nil, "\(reference)")
    }
    let operations = Self.operations(document)
    #expect(operations.count > 5)
    for (name, fields) in operations {
      let answers = Set((fields["responses"] as? [String: Any] ?? [:]).keys)
      #expect(answers.contains { $0.hasPrefix("2") }, "\(name)")
      // `default` would make every answer a documented one.
      #expect(!answers.contains("default") && !answers.contains("500"), "\(name)")
      #expect(fields["security"] != nil && fields["summary"] != nil, "\(name)")
    }
  }

  @Test func `The front's document is that of all services, without what services ask of each other`() throws {
    let front = Set(try Self.operations(Self.document("front")).map(\.name))
    var every: Set<String> = []
    for service in ServedDocument.services {
      every.formUnion(try Self.operations(Self.document(service)).filter { $0.fields["x-internal"] == nil }.map(\.name))
    }
    #expect(front == every)
    #expect(!front.contains("POST /v1/audit/events"))
  }
}
