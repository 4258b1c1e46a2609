/// Columns for a terminal. Control characters in cells (names come from strangers) become `?`.
public struct TextTable: Sendable {
  private var rows: [[String]]

  public init(_ header: [String]) { rows = [header] }

  public mutating func add(_ row: [String]) {
    rows.append(row.map { cell in String(cell.map { $0.isPrintable ? $0 : "?" }) })
  }

  public var text: String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      let cells = row.enumerated().map {
        $0.offset == row.count - 1 ? $0.element : $0.element.padded(widths[$0.offset])
      }
      return cells.joined(separator: "  ")
    }.joined(separator: "\n")
  }
}

extension Character {
  fileprivate var isPrintable: Bool {
    unicodeScalars.allSatisfy { $0.properties.generalCategory != .control && $0.value != 0x2028 && $0.value != 0x2029 }
  }
}
