import Foundation
import Glibc
import ServiceKit

/// Secrets come from standard input, never from arguments: those are for everybody on the machine to see.
enum PasswordPrompt {
  /// One line; not shown while it is typed at a terminal.
  static func read(_ what: String) throws -> String {
    var kept = termios()
    let isTerminal = isatty(0) == 1 && tcgetattr(0, &kept) == 0
    if isTerminal {
      var silent = kept
      silent.c_lflag &= ~tcflag_t(ECHO)
      tcsetattr(0, TCSAFLUSH, &silent)
      FileHandle.standardError.write(Data("\(what): ".utf8))
    }
    defer {
      if isTerminal {
        tcsetattr(0, TCSAFLUSH, &kept)
        FileHandle.standardError.write(Data("\n".utf8))
      }
    }
    guard let line = readLine(), !line.isEmpty else {
      throw ConfigurationError("No \(what.lowercased()) was given.", remedy: "Give it on standard input, in one line.")
    }
    return line
  }
}
