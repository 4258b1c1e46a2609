import Crypto
import Foundation
import Mustache
import ServiceKit
import Wire

/// What the console shows, read once at start: templates, words, and the files that browsers fetch.
struct Resources: Sendable {
  struct Asset: Sendable {
    var type: String
    var bytes: [UInt8]
  }
  let templates: MustacheLibrary
  let catalogues: [Language: Catalogue]
  /// By file name.
  let assets: [String: Asset]
  /// Names the assets' content in their paths, so that browsers may keep them for good.
  let digest: String

  /// The folder that SwiftPM lays beside the program.
  static var folder: String { Bundle.main.bundleURL.appendingPathComponent("godwit_Console.resources/Resources").path }

  /// - Throws: `ConfigurationError` where the folder is missing or not whole.
  init(folder: String = Resources.folder) throws {
    var library = MustacheLibrary()
    for (name, bytes) in try Self.files(folder + "/templates") {
      do { try library.register(String(decoding: bytes, as: UTF8.self), named: String(name.dropLast(9))) } catch {
        throw ConfigurationError("The template \(name) cannot be read: \(error).", remedy: "Install the program anew.")
      }
    }
    templates = library
    catalogues = try Dictionary(
      uniqueKeysWithValues: Language.allCases.map { language in
        let path = "\(folder)/text/\(language.rawValue).json"
        guard let data = FileManager.default.contents(atPath: path) else { throw Self.missing(path) }
        return (language, try Catalogue(language, json: Array(data)))
      })
    var (assets, hash) = ([String: Asset](), SHA256())
    for (name, bytes) in try Self.files(folder + "/assets") {
      guard let type = Self.types[String(name.split(separator: ".").last ?? "")] else { continue }
      assets[name] = Asset(type: type, bytes: bytes)
      hash.update(data: Array(name.utf8) + bytes)
    }
    (self.assets, digest) = (assets, Hex.encode(Array(hash.finalize().prefix(8))))
  }

  private static let types = [
    "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"
  ]

  private static func files(_ folder: String) throws -> [(name: String, bytes: [UInt8])] {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder), !names.isEmpty else {
      throw missing(folder)
    }
    return try names.sorted().map { name in
      guard let data = FileManager.default.contents(atPath: "\(folder)/\(name)") else { throw missing(name) }
      return (name, Array(data))
    }
  }

  private static func missing(_ path: String) -> ConfigurationError {
    ConfigurationError(
      "The console's file \(path) is missing.",
      remedy: "Install the folder godwit_Console.resources beside the program godwit.")
  }
}
