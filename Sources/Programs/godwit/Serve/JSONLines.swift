import Logging
import Logs
import ServiceKit

/// The log of a server: JSON lines to standard error, each with the request it belongs to.
enum JSONLines {
  static func bootstrap(_ level: Logger.Level) {
    LoggingSystem.bootstrap(
      { label, provider in
        var handler = JSONLogHandler(label: label, level: level)
        handler.metadataProvider = provider
        return handler
      }, metadataProvider: .requestTrace)
  }
}
