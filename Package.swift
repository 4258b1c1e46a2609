// swift-tools-version:6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .treatAllWarnings(as: .error)
]

// Products of other packages, by the names this file uses.
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let asyncHTTPClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let jwtKit = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let swiftASN1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

/// A library target at `Sources/<room>/<name>`.
func library(_ name: String, in room: String? = nil, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(
    name: name, dependencies: dependencies, path: "Sources/" + (room.map { "\($0)/" } ?? "") + name,
    swiftSettings: strict)
}

/// A program at `Sources/Programs/<name>`.
func program(_ name: String, _ dependencies: [Target.Dependency], linking: [LinkerSetting] = []) -> Target {
  .executableTarget(
    name: name, dependencies: dependencies + [argumentParser], path: "Sources/Programs/\(name)", swiftSettings: strict,
    linkerSettings: linking)
}

/// For a program that runs on machines of others: fully static, whatever the configuration. The libraries named are those
/// that modules which were compiled for dynamic linking do not name themselves.
let fullyStatic: [LinkerSetting] = [
  .unsafeFlags(["-static-executable", "-Xlinker", "--start-group"]),
  .linkedLibrary("FoundationEssentials"),
  .linkedLibrary("_FoundationCollections"),
  .linkedLibrary("_FoundationCShims"),
  .linkedLibrary("swiftSynchronization"),
  .linkedLibrary("swift_Concurrency"),
  .linkedLibrary("swiftCore"),
  .unsafeFlags(["-Xlinker", "--end-group"])
]

/// A folder of tests at `Tests/<folder>`.
func tests(_ folder: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: "\(folder)Tests", dependencies: dependencies, path: "Tests/\(folder)", swiftSettings: strict)
}

let package = Package(
  name: "godwit",
  platforms: [.macOS(.v26)],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2")
  ],
  targets: [
    // Core: values, contracts, pure state machines; no I/O.
    library("Blocks", in: "Core"),
    library("Machines", in: "Core"),
    library("DiskFormats", in: "Core"),
    library("Replication", in: "Core", ["Blocks"]),
    library("Logs", [logging]),
    library("Connections", [hummingbirdCore, nioCore, logging]),
    library("Wire", in: "Core", ["Blocks", "Machines", "Replication", crypto]),
    library("Evidence", in: "Core", ["Replication", "Wire", crypto, x509, swiftASN1]),

    // The data path: bytes.
    .target(name: "CLinuxBlock", path: "Sources/DataPath/CLinuxBlock"),
    .systemLibrary(
      name: "CZstd", path: "Sources/DataPath/CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(
      name: "CNBD", path: "Sources/DataPath/CNBD", pkgConfig: "libnbd", providers: [.apt(["libnbd-dev"])]),
    library("Frames", in: "DataPath", ["Blocks", "Replication", "Wire", "CZstd", nioCore]),
    library("Volumes", in: "DataPath", ["Blocks", "CLinuxBlock", systemPackage]),
    library("NetworkVolumes", in: "DataPath", ["Blocks", "CNBD"]),
    library(
      "Transport", in: "DataPath",
      [
        "Blocks", "Machines", "Replication", "Wire", "Frames", asyncHTTPClient, nioCore, nioPosix, nioHTTP1, nioSSL,
        logging, crypto
      ]),
    library(
      "Source", in: "DataPath",
      [
        "Blocks", "DiskFormats", "Machines", "Replication", "Wire", "Frames", "Volumes", "Transport", "CLinuxBlock",
        "Repair", "Logs", crypto, logging, nioCore, nioPosix,
        systemPackage, serviceLifecycle
      ]),
    library(
      "Gateway", in: "DataPath",
      [
        "Blocks", "Replication", "Wire", "Frames", "Volumes", "NetworkVolumes", "Connections", hummingbird,
        hummingbirdCore, hummingbirdTLS,
        httpTypes, nioCore, nioPosix, nioSSL, crypto, logging, systemPackage, serviceLifecycle
      ]),

    // The control path: intentions.
    .target(name: "CDocuments", path: "Sources/ControlPath/CDocuments"),
    library(
      "ServiceKit", in: "ControlPath/Services",
      [
        "CDocuments", "Machines", "Wire", "Connections", hummingbird, hummingbirdCore, hummingbirdTLS, asyncHTTPClient,
        httpTypes, nioCore, nioPosix, nioHTTP1, nioSSL, x509, swiftASN1, crypto, grdb, logging, serviceLifecycle, yams
      ]),
    library(
      "Identity", in: "ControlPath/Services",
      [
        "ServiceKit", "Wire", hummingbird, httpTypes, nioCore, nioHTTP1, nioPosix, crypto, cryptoExtras, grdb, jwtKit,
        logging, serviceLifecycle
      ]),
    library("Workflows", in: "ControlPath/Workflows", [logging, serviceLifecycle]),
    library("WorkflowSQLite", in: "ControlPath/Workflows", ["Workflows", grdb]),
    library("Providers", in: "ControlPath/Providers", ["Machines"]),
    library("Local", in: "ControlPath/Providers", ["Providers", "Machines", asyncHTTPClient, nioCore, nioHTTP1]),
    library(
      "Migration", in: "ControlPath/Services",
      [
        "ServiceKit", "Workflows", "WorkflowSQLite", "Machines", "Wire", "Evidence", hummingbird, httpTypes, nioCore,
        nioPosix, nioHTTP1, crypto, grdb,
        logging,
        serviceLifecycle
      ]),
    library(
      "Clouds", in: "ControlPath/Services",
      [
        "ServiceKit", "Providers", "Local", "Machines", "Wire", hummingbird, httpTypes, nioCore, crypto, grdb,
        logging,
        serviceLifecycle
      ]),
    library(
      "Licensing", in: "ControlPath/Services",
      ["ServiceKit", "Wire", hummingbird, httpTypes, grdb, logging, serviceLifecycle]),
    library(
      "Operations", in: "ControlPath/Services",
      ["ServiceKit", "Wire", hummingbird, httpTypes, grdb, logging, serviceLifecycle]),
    library("Backup", in: "ControlPath", ["ServiceKit", "Wire", crypto, cryptoExtras, grdb]),
    .target(
      name: "Console",
      dependencies: [
        "Client", "ServiceKit", "Machines", "Wire", mustache, hummingbird, httpTypes, nioCore, nioHTTP1, crypto,
        logging,
        serviceLifecycle
      ],
      path: "Sources/ControlPath/Services/Console", resources: [.copy("Resources")], swiftSettings: strict),
    library("Client", in: "ControlPath", ["ServiceKit", "Machines", "Wire", asyncHTTPClient, nioCore, nioHTTP1]),

    // The local cloud and the repair of clones.
    library(
      "Hypervisor",
      [
        "Machines", "Connections", hummingbird, httpTypes, nioCore, nioPosix, nioHTTP1, crypto, logging, subprocess,
        systemPackage, serviceLifecycle
      ]),
    .systemLibrary(name: "CLinuxRepair", path: "Sources/CLinuxRepair"),
    library("Repair", ["Machines", "DiskFormats", "CLinuxRepair"]),

    // Libraries for tests; they import no test framework.
    library("Simulation", in: "TestKits", ["Blocks", "Replication"]),
    library(
      "Conformance", in: "TestKits", ["Blocks", "Providers", "Workflows", "Machines"]),
    library(
      "Fakes", in: "TestKits",
      [
        "Blocks", "Machines", "Providers", "Wire", "ServiceKit", "Logs", hummingbird, httpTypes, nioCore, nioPosix,
        asyncHTTPClient,
        nioHTTP1, grdb,
        logging, systemPackage, subprocess
      ]),

    program(
      "godwit-agent",
      [
        "Source", "Transport", "Machines", "Repair", "Wire", "CLinuxBlock", "Logs", logging, serviceLifecycle,
        unixSignals
      ],
      linking: fullyStatic),
    program("godwit-gateway", ["Gateway", "Wire", "Logs", logging, serviceLifecycle, unixSignals, systemPackage]),
    program("godwit-repair", ["Repair", "Machines", "CLinuxRepair"], linking: fullyStatic),
    program("godwit-hypervisor", ["Hypervisor", logging, serviceLifecycle, unixSignals]),
    program("godwit-fakecloud", ["Fakes", "ServiceKit", "Logs", logging, serviceLifecycle, unixSignals]),
    program(
      "godwit",
      [
        "Backup", "Client", "ServiceKit", "Identity", "Migration", "Clouds", "Operations", "Licensing", "Console",
        "Providers", "Local", "Fakes", "Conformance", "Machines", "Wire", "Evidence", "Blocks", "Volumes", "Logs",
        hummingbird, httpTypes, logging,
        serviceLifecycle, unixSignals
      ]),

    tests(
      "Unit",
      [
        "Blocks", "DiskFormats", "Machines", "Replication", "Wire", "Frames", "Simulation", "Source", "Transport",
        "Backup", "Gateway", "Repair", "Hypervisor", "ServiceKit", "Identity", "Workflows", "WorkflowSQLite",
        "Migration", "Clouds", "Operations", "Licensing", "Console", "Providers", "Client", "Evidence", "Fakes",
        "Volumes", "Logs", crypto, nioCore, nioPosix, nioHTTP1, logging, serviceLifecycle, hummingbird, httpTypes, grdb,
        asyncHTTPClient
      ]),
    tests(
      "Conformance",
      [
        "Conformance", "Blocks", "Volumes", "NetworkVolumes", "Providers", "Local", "Fakes", "Workflows",
        "WorkflowSQLite", "Machines"
      ]),
    tests(
      "Integration",
      [
        "Blocks", "Replication", "Wire", "Frames", "Volumes", "NetworkVolumes", "Transport", "Source", "Gateway",
        "Hypervisor", "Local", "Providers", "Identity", "Migration", "Clouds", "Operations", "Licensing", "ServiceKit",
        "Workflows",
        "WorkflowSQLite", "Fakes", "Machines", "CLinuxBlock", "Conformance", "Evidence", "Logs", "Simulation", crypto,
        nioCore, nioPosix, nioSSL,
        asyncHTTPClient, logging, nioHTTP1, hummingbird, httpTypes, serviceLifecycle, systemPackage, subprocess
      ]),
    tests("EndToEnd", ["Machines", "Wire", "Fakes", "Client", "Repair", subprocess])
  ],
  swiftLanguageModes: [.v6]
)
