import ArgumentParser
import Foundation
import Glibc
import Machines
import Providers
import ServiceKit

struct DownCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "down", abstract: "End a platform on this machine, its gateway and its hypervisor; nothing is deleted."
  )

  @Option(help: "The platform's state folder.") var state: String
  @Flag(help: "Leave the machines of the local cloud running.") var keepMachines = false

  func run() async throws {
    let folder = URL(fileURLWithPath: state).standardizedFileURL.path
    try endPlatform(folder)
    let hypervisor = Companion(name: "godwit-hypervisor", arguments: [], revision: "", folder: folder)
    try Companion(name: "godwit-gateway", arguments: [], revision: "", folder: folder).end()
    if try hypervisor.running() != nil, !keepMachines { try await endMachines(folder) }
    try hypervisor.end()
  }

  /// SIGTERM to the process that holds the folder's lock, SIGKILL after 30 s, and waits until it lets go.
  private func endPlatform(_ folder: String) throws {
    let lock = open(folder + "/run/lock", O_RDWR | O_CLOEXEC)
    guard lock >= 0 else {
      throw ConfigurationError("\(folder) is no state folder of a platform.", remedy: "Give --state as to 'godwit up'.")
    }
    defer { close(lock) }
    if flock(lock, LOCK_EX | LOCK_NB) == 0 { return }
    let text = try PrivateFile.read(folder + "/run/godwit.pid").map { String(decoding: $0, as: UTF8.self) }
    guard let pid = text.flatMap({ pid_t($0) }) else {
      throw ConfigurationError("The running platform's process is not known.", remedy: "End it by its pid.")
    }
    kill(pid, SIGTERM)
    let deadline = Date().addingTimeInterval(30)
    while flock(lock, LOCK_EX | LOCK_NB) != 0 {
      if Date() > deadline { kill(pid, SIGKILL) }
      usleep(50_000)
    }
  }

  /// Powers off machines and ends attachments, so that no process of the local cloud is left.
  private func endMachines(_ folder: String) async throws {
    let token = try AdminToken.open(file: folder + "/keys/hypervisor.token").text
    guard let provider = try ProviderKinds.all["local"]?("unix:\(folder)/run/hypervisor.sock", token) else { return }
    do {
      for machine in try await provider.compute.listMachines(tags: [:]) where machine.state == .running {
        try await provider.compute.stopMachine(machine.id)
      }
      for case .volume(let volume) in try await provider.storage.list(tags: [:]) {
        try await provider.storage.detachVolume(volume.id)
      }
    } catch let error as ProviderError {
      FileHandle.standardError.write(Data("Some machines may still run: \(error)\n".utf8))
    }
  }
}
