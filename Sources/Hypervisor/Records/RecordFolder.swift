import FoundationEssentials

/// One JSON file per object. A stored record survives power loss once `store` has returned; a removed one stays removed.
struct RecordFolder<Record: Codable & Sendable>: Sendable {
  let path: String

  /// Writes `ID.json` beside its place, makes it durable, then renames it there.
  func store(_ record: Record, id: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    let place = "\(path)/\(id).json"
    try DurableFile.write([UInt8](encoder.encode(record)), to: place + ".part")
    try DurableFile.rename(place + ".part", to: place)
  }

  func remove(id: String) throws {
    try DurableFile.remove("\(path)/\(id).json")
  }

  /// Every record by id. Half-written files of an earlier life are removed.
  func all() throws -> [String: Record] {
    var records: [String: Record] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: path) {
      if name.hasSuffix(".part") { try DurableFile.remove("\(path)/\(name)") }
      guard name.hasSuffix(".json") else { continue }
      let place = "\(path)/\(name)"
      do {
        let bytes = try Data(contentsOf: URL(filePath: place))
        records[String(name.dropLast(5))] = try JSONDecoder().decode(Record.self, from: bytes)
      } catch {
        throw HypervisorError(
          .failed, "cannot read the record \(place): \(error); restore the file or move it away, then start again")
      }
    }
    return records
  }
}
