import Foundation
import Logging
import ServiceKit
import ServiceLifecycle

/// Keeps the companions running while the platform does: one that ends is started again. They are left alone at the end.
struct CompanionKeeper: Service {
  let companions: [Companion]
  let logger: Logger

  func run() async throws {
    try await cancelWhenGracefulShutdown {
      do {
        while true {
          try await Task.sleep(for: .seconds(2))
          for companion in companions { tend(companion) }
        }
      } catch is CancellationError {}
    }
  }

  private func tend(_ companion: Companion) {
    do {
      try companion.reap()
      guard try companion.running() == nil else { return }
      logger.error("program ended, starting it again", metadata: ["program": "\(companion.name)"])
      try companion.ensure(logger: logger)
    } catch {
      logger.error("program cannot be kept running", metadata: ["program": "\(companion.name)", "error": "\(error)"])
    }
  }
}
