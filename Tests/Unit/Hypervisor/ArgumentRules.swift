@testable import Hypervisor

/// The rules for every command line that reaches QEMU's block layer: no image format is ever left to be guessed.
enum ArgumentRules {
  /// What is wrong with the command line; empty when nothing is.
  static func violations(_ arguments: [String]) throws -> [String] {
    var found: [String] = []
    let guessing = ["-drive", "-hda", "-hdb", "-cdrom", "-fda", "-sd", "-pflash", "-mtdblock", "-bios", "-snapshot"]
    found += arguments.filter { guessing.contains($0) }.map { "\($0) names an image without options" }
    for (index, word) in arguments.enumerated() where word == "-blockdev" || word == "--blockdev" {
      found += violations(in: try JSONValue(text: Array(arguments[index + 1].utf8)), role: "blockdev")
    }
    if arguments.first == "create" {
      if !(arguments.contains("-f")) { found.append("qemu-img create without -f") }
      if arguments.contains("-b"), !arguments.contains("-F") || !arguments.contains("-u") {
        found.append("qemu-img opens or guesses the backing file")
      }
    }
    return found
  }

  private static func violations(in node: JSONValue, role: String) -> [String] {
    guard let driver = node["driver"]?.string else { return ["\(role) without a driver: \(node)"] }
    switch driver {
    case "file":
      let path = node["filename"]?.string ?? ""
      return path.hasPrefix("/") ? [] : ["\(role): the path \(path) is not absolute"]
    case "raw", "qcow2":
      guard let file = node["file"] else { return ["\(role): \(driver) without a file"] }
      var found = violations(in: file, role: "\(role).file")
      if driver == "qcow2" {
        switch node["backing"] {
        case nil: found.append("\(role): the backing file is left to the image's own header")
        case .null, .string: break
        case .some(let backing): found += violations(in: backing, role: "\(role).backing")
        }
      }
      return found
    default: return ["\(role): driver \(driver) is not one of ours"]
    }
  }
}
