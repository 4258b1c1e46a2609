import Testing

@testable import Source

@Suite("The eBPF assembler and the program made with it")
struct BPFAssemblerTests {
  private typealias Code = BPFAssembler.Instruction

  @Test("Instructions are encoded as the kernel reads them")
  func encoding() {
    var code = BPFAssembler()
    code.compute(.move, .r6, .r1)
    code.load(.u32, .r1, from: .r6, 8)
    code.store(.u32, .r1, to: .frame, -4)
    code.addAtomically(.r8, to: .r3, 16)
    code.loadMap(.r1, 5)
    code.call(BPFAssembler.mapLookup)
    code.exit()
    // As a disassembler of the kernel's own format prints them: code, registers, offset, immediate.
    #expect(
      code.assembled() == [
        Code(code: 0xbf, registers: 0x16), Code(code: 0x61, registers: 0x61, offset: 8),
        Code(code: 0x63, registers: 0x1a, offset: -4), Code(code: 0xdb, registers: 0x83, offset: 16),
        Code(code: 0x18, registers: 0x11, immediate: 5), Code(code: 0, registers: 0),
        Code(code: 0x85, registers: 0, immediate: 1), Code(code: 0x95, registers: 0)
      ])
    #expect(MemoryLayout<Code>.stride == 8)
  }

  @Test("A jump leads to its label, counted from the next instruction")
  func jumps() {
    var code = BPFAssembler()
    let out = code.label()
    code.jump(to: out, .notEqual, .r1, 7)
    code.compute(.move, .r0, 1)
    code.compute(.move, .r0, 2)
    code.place(out)
    code.exit()
    #expect(code.assembled()[0] == Code(code: 0x55, registers: 0x01, offset: 2, immediate: 7))
  }

  @Test("Both forms end in one exit, fit the limit of old kernels, and store no more than they may")
  func shape() throws {
    let program = MarkProgram(
      device: 7 << 20 | 3, layout: DirtyMapLayout(size: 1 << 40), signature: (104, 56), map: 11, counters: 12)
    let format = try #require(
      TracepointFormat(format: TracepointFormatTests.text, id: "1234\n"))
    for code in [program.forTracepoint(format), program.forRequest(Self.requests)] {
      #expect(code.count < 4096)
      #expect(code.last?.code == 0x95)
      #expect(code.filter { $0.code == 0x95 }.count == 1)
      // One store of a byte for each mark.
      #expect(code.filter { $0.code == 0x72 }.count == DirtyMapLayout.stores)
      #expect(code.filter { $0.code == 0x85 }.allSatisfy { $0.immediate == BPFAssembler.mapLookup })
      let maps = code.filter { $0.code == 0x18 && $0.registers >> 4 == 1 }.map(\.immediate)
      #expect(maps == [12] + Array(repeating: 11, count: DirtyMapLayout.stores))
      // Jumps lead forward, and stay inside.
      for (index, step) in code.enumerated() where step.code & 7 == 5 && step.code != 0x85 && step.code != 0x95 {
        #expect(step.offset >= 0 && index + 1 + Int(step.offset) < code.count)
      }
    }
  }

  @Test("The negative control differs by its coin only")
  func negativeControl() throws {
    var program = MarkProgram(
      device: 7 << 20 | 3, layout: DirtyMapLayout(size: 1 << 40), signature: (104, 56), map: 11, counters: 12)
    let honest = program.forRequest(Self.requests)
    #expect(!honest.contains { $0.code == 0x85 && $0.immediate == BPFAssembler.random })
    program.dropsOneIn = 1000
    let control = program.forRequest(Self.requests)
    #expect(control.count { $0.code == 0x85 && $0.immediate == BPFAssembler.random } == 1)
    #expect(control.contains { $0.code == 0x97 && $0.immediate == 1000 })
  }

  private static let requests = RequestLayout(
    tracepoint: 99, pathToDisk: [0, 800], sector: 48, flags: 24, major: 0, firstMinor: 4)
}
