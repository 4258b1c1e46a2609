import Foundation

extension LoopDisk {
  /// The path of a partition made by `partition`.
  func partition(_ number: Int) -> String { "\(path)p\(number)" }

  /// Makes partitions one after the other, by telling the kernel of them; they go with the loop device.
  /// - Parameter sizes: MiB.
  func makePartitions(_ sizes: [Int]) throws {
    var start = 2048
    for (index, size) in sizes.enumerated() {
      try run("addpart", path, "\(index + 1)", "\(start)", "\(size * 2048)")
      start += size * 2048
    }
  }

  /// Takes the partitions away again.
  func removePartitions() { _ = try? run("partx", "--delete", path) }

  /// Sectors written to a device so far.
  static func sectorsWritten(_ device: String) throws -> Int {
    let text = try String(
      contentsOfFile: "/sys/class/block/\(device.replacing("/dev/", with: ""))/stat", encoding: .utf8)
    return text.split(separator: " ").compactMap { Int($0) }[6]
  }
}
