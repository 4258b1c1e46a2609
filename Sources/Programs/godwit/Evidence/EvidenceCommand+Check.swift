import ArgumentParser
import Blocks
import Evidence
import FoundationEssentials
import Volumes
import Wire

extension EvidenceCommand {
  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check an evidence file with nothing but the CA, and a volume against it.",
      discussion: """
        Asks nobody. Ends with 0 when everything holds, with 1 when something does not, with 2 when a volume could not \
        be read. Bring the CA from a place you trust, not from where the file came from.
        """)
    @Argument(help: "The evidence file.") var file: String
    @Option(help: "PEM file of the platform's CA.") var ca: String
    @Option(help: "A volume to re-read: DISK=PATH, with the disk's name at the source (or its number, from 0).")
    var volume: [String] = []
    @Flag(help: "Print JSON.") var json = false

    func run() throws {
      let report = report()
      if json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(report), as: UTF8.self))
      } else {
        print(report.text)
      }
      switch report.failure {
      case nil: break
      case .volumeUnreadable: throw ExitCode(2)
      default: throw ExitCode(1)
      }
    }

    private func report() -> EvidenceReport {
      do throws(EvidenceFailure) {
        let checked = try EvidenceCheck(authority: try text(ca)).check(try bytes(file))
        var report = EvidenceReport(checked)
        for one in volume { report.volumes.append(try compare(one, checked)) }
        if let damaged = report.volumes.first(where: { $0.differing > 0 }) {
          report.fail(
            EvidenceFailure(
              .volumeDiffers, "\(damaged.differing) leaves of \(damaged.path) are not what the evidence says."))
        }
        return report
      } catch { return EvidenceReport(error) }
    }

    private func bytes(_ path: String) throws(EvidenceFailure) -> [UInt8] {
      do { return Array(try Data(contentsOf: URL(filePath: path))) } catch {
        throw EvidenceFailure(.malformed, "\(path) cannot be read: \(error).")
      }
    }

    private func text(_ path: String) throws(EvidenceFailure) -> String {
      String(decoding: try bytes(path), as: UTF8.self)
    }

    private func compare(
      _ argument: String, _ checked: EvidenceCheck.Checked
    ) throws(EvidenceFailure) -> EvidenceReport.Volume {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      let names = checked.point.disks.map(\.name)
      guard parts.count == 2, let disk = names.firstIndex(of: parts[0]) ?? Int(parts[0]), names.indices.contains(disk)
      else {
        throw EvidenceFailure(
          .volumeUnreadable, "'\(argument)' names no disk of the point; its disks are \(names.joined(separator: ", "))."
        )
      }
      do throws(BlockError) {
        let reader = try open(parts[1])
        let size = checked.point.disks[disk].size
        guard reader.size >= size else {
          throw BlockError(
            .outOfRange, call: "open", device: parts[1], reason: "it has \(reader.size) bytes, the disk \(size)")
        }
        let outcome = try VolumeCheck.compare(reader, size: size, disk: disk, with: checked.picture)
        return EvidenceReport.Volume(disk: names[disk], path: parts[1], outcome: outcome)
      } catch { throw EvidenceFailure(.volumeUnreadable, "\(parts[1]) cannot be compared: \(error).") }
    }

    /// A raw file, else a block device.
    private func open(_ path: String) throws(BlockError) -> any BlockReader {
      do throws(BlockError) { return try RawFile(path: path, readOnly: true) } catch {
        return try BlockDevice(path: path, readOnly: true)
      }
    }
  }
}
