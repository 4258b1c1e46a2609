/// A volume's chain of layers as QEMU's block layer is told of it: every format and every backing file named, so that
/// nothing is ever probed.
struct BlockNode: Sendable {
  /// Which disk of the process it is: two disks may share layers, and node names are unique in a process.
  let disk: Int
  /// Paths by layer.
  let folder: StateFolder
  /// Whether the host's filesystem takes O_DIRECT.
  let directIO: Bool

  /// At most 31 characters, as QEMU asks.
  func name(_ layer: LayerID) -> String { "d\(disk)-\(layer.rawValue)" }

  /// The options of the top of `layers`, with all that lies below nested in it.
  func chain(_ layers: ArraySlice<LayerID>, readOnly: Bool = false) -> JSONValue {
    guard let top = layers.first else { return .null }
    return layer(top, readOnly: readOnly, backing: chain(layers.dropFirst(), readOnly: true))
  }

  /// The options of one layer over `backing`: options of another node, a node's name, or null for none (yet).
  func layer(_ id: LayerID, readOnly: Bool, backing: JSONValue) -> JSONValue {
    let cache: JSONValue = ["direct": .bool(directIO), "no-flush": false]
    return [
      "driver": "qcow2", "node-name": .string(name(id)), "read-only": .bool(readOnly), "cache": cache,
      "discard": "unmap", "detect-zeroes": readOnly ? "off" : "unmap", "backing": backing,
      "file": [
        "driver": "file", "node-name": .string("d\(disk)f\(id.rawValue)"), "filename": .string(folder.layer(id)),
        "read-only": .bool(readOnly), "cache": cache, "discard": "unmap"
      ]
    ]
  }
}
