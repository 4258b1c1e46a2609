import Foundation

/// What `make` built for other machines.
enum BuiltPrograms {
  static let top = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  /// The folder of the repair appliance (`make appliance`), in the folder that GODWIT_OUT names.
  static let appliance = (ProcessInfo.processInfo.environment["GODWIT_OUT"] ?? top + "/out") + "/appliance"
}
