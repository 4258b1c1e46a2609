/// Where the fields of the tracepoint block:block_rq_complete lie in its record. They move between kernels, so they are
/// read from tracefs.
struct TracepointFormat: Equatable {
  /// What `perf_event_open` wants.
  var id: UInt64
  /// Byte offsets.
  var device: Int
  var sector: Int
  var sectors: Int
  var flags: Int

  /// - Parameter format: the text of the event's `format` file.
  /// - Parameter id: the text of its `id` file.
  init?(format: String, id: String) {
    var offsets: [Substring: Int] = [:]
    for line in format.split(separator: "\n") {
      let parts = line.split(separator: ";")
      guard parts.count > 1, let declaration = parts.first, declaration.contains("field:") else { continue }
      // "field:char rwbs[8]": the name is the last word, without its dimension.
      let name = declaration.split(separator: " ").last?.split(separator: "[").first
      let offset = parts[1].split(separator: ":").last.flatMap { Int($0) }
      if let name, let offset { offsets[name] = offset }
    }
    guard let device = offsets["dev"], let sector = offsets["sector"], let sectors = offsets["nr_sector"],
      let flags = offsets["rwbs"], let id = UInt64(id.filter(\.isNumber))
    else { return nil }
    (self.id, self.device, self.sector, self.sectors, self.flags) = (id, device, sector, sectors, flags)
  }
}
