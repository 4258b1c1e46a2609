import Foundation

/// What a serial console says of a start. Pure.
enum BootVerdict: Hashable, Sendable {
  case undecided
  case started(String)
  case failed(String)

  /// Texts after which a machine does not come up by itself.
  static let failures = [
    "Gave up waiting for root", "(initramfs)", "Kernel panic", "No bootable device", "UEFI Interactive Shell",
    "Shell>", "grub rescue>", "You are in emergency mode", "dracut-initqueue timeout", "Entering emergency mode",
    "VFS: Unable to mount root fs", "error: no such device", "BdsDxe: No bootable option"
  ]

  /// - Parameter success: the text that proves the start; nil for a login prompt.
  init(console: String, success: String?) {
    let lines = Self.withoutControl(console)
    if let failure = Self.failures.first(where: lines.contains) {
      self = .failed("the console says '\(failure)'")
    } else if let success {
      self = lines.contains(success) ? .started("the console says '\(success)'") : .undecided
    } else if let prompt = Self.loginPrompt(lines) {
      self = .started("the console shows the prompt '\(prompt)'")
    } else {
      self = .undecided
    }
  }

  /// `HOST login:` at the end of a line that is not a log line.
  private static func loginPrompt(_ text: String) -> String? {
    for line in text.split(whereSeparator: \.isNewline).reversed() {
      let line = line.trimmingCharacters(in: .whitespaces)
      guard line.hasSuffix(" login:"), line.split(separator: " ").count == 2 else { continue }
      return line
    }
    return nil
  }

  /// Terminal sequences out, so that a coloured prompt is found too.
  private static func withoutControl(_ text: String) -> String {
    text.replacing(/\u{1B}\[[0-9;?]*[ -\/]*[@-~]/, with: "").replacing(
      /[\u{00}-\u{08}\u{0B}\u{0C}\u{0E}-\u{1A}\u{1B}]/, with: "")
  }
}
