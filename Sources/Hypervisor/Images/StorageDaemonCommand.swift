/// The command line of the storage daemon of one attached volume.
enum StorageDaemonCommand {
  static let exportName = "volume"

  static func arguments(chain: [LayerID], node: BlockNode, run: RunFolder) throws -> [String] {
    [
      "--pidfile", run.pid,
      "--blockdev", try node.chain(chain[...]).text,
      "--chardev", "socket,id=qmp,path=\(escaped(run.monitor)),server=on,wait=off",
      "--monitor", "chardev=qmp,mode=control",
      "--nbd-server", "addr.type=unix,addr.path=\(escaped(run.nbd)),max-connections=16",
      "--export", "type=nbd,id=\(exportName),node-name=\(node.name(chain[0])),name=\(exportName),writable=on"
    ]
  }

  /// In QEMU's comma-separated options a comma of a value is doubled.
  static func escaped(_ value: String) -> String {
    value.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,")
  }
}
